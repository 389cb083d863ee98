use async_nats::jetstream::stream::Stream as JetStream;
use chassis::testing::{NatsServer, eventually};
use events::{ClickBatch, click, streams};
use redirector::recorder::{Durability, RecorderConfig};

use super::process::{Process, segments, spool_in};
use super::proxy::Proxy;
use super::stream::{Stream, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_acknowledgement_doubles_and_loses_nothing() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let proxy = Proxy::to(&nats.url()).await;
    let folder = tempfile::tempdir().unwrap();
    // At this level it is known when the publisher has heard of everything.
    let config = RecorderConfig {
        durability: Durability::Ack,
        ..spool_in(&folder)
    };
    let process = Process::start(config, &proxy.url()).await;
    let mut recorded = 0;
    for _ in 0..3 {
        process.connected().await;
        process.record(recorded..recorded + 20).await;
        recorded += 20;
        proxy.lose_answers();
        process.record_in_passing(recorded);
        // It is stored, and nobody has heard of it.
        eventually(|| async { stream.clicks().await.contains(&recorded).then_some(()) }).await;
        (recorded + 1..recorded + 100).for_each(|number| process.record_in_passing(number));
        recorded += 100;
        proxy.cut();
        stream.holds(usize::try_from(recorded).unwrap()).await;
    }
    process.stop().await;
    assert_eq!(
        stream.spools().await.into_values().collect::<Vec<_>>(),
        [numbers(0..recorded)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_that_dies_at_any_moment_doubles_and_loses_nothing() {
    let mut nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    let mut recorded = 0;
    for _ in 0..3 {
        process.record(recorded..recorded + 3_000).await;
        recorded += 3_000;
        nats.restart().await;
    }
    nats.stop().await;
    process.record(recorded..recorded + 3_000).await;
    recorded += 3_000;
    nats.restart().await;
    stream.holds(usize::try_from(recorded).unwrap()).await;
    process.stop().await;
    assert_eq!(
        stream.spools().await.into_values().collect::<Vec<_>>(),
        [numbers(0..recorded)]
    );
    assert!(segments(&folder).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_wait_for_a_stream_that_is_made_late() {
    let nats = NatsServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    process.record(0..1_500).await;
    let stream = Stream::connect(&nats).await;
    assert!(stream.clicks().await.is_empty());
    stream.make(-1).await;
    stream.holds(1_500).await;
    process.stop().await;
    assert_eq!(stream.clicks().await, numbers(0..1_500));
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_wait_for_room_in_a_full_stream() {
    let nats = NatsServer::start().await;
    let stream = Stream::connect(&nats).await;
    stream.make(2).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    // More than the two messages that there is room for can carry: one has at most 1,000 clicks.
    process.record(0..3_000).await;
    eventually(|| async { (stream.messages().await.len() == 2).then_some(()) }).await;
    assert!(stream.clicks().await.len() < 3_000);
    stream.make(-1).await;
    stream.holds(3_000).await;
    process.stop().await;
    assert_eq!(stream.clicks().await, numbers(0..3_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_anew_gets_what_was_not_acknowledged_by_the_old_one() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    process.record(0..100).await;
    stream.holds(100).await;
    stream.delete().await;
    process.record(100..200).await;
    stream.make(-1).await;
    stream.holds(100).await;
    process.record(200..300).await;
    stream.holds(200).await;
    process.stop().await;
    let first = ClickBatch::decode(&stream.messages().await[0].payload)
        .unwrap()
        .first;
    assert_eq!(first, 100, "the old numbers go on");
    assert_eq!(stream.clicks().await, (100..300).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_that_was_read_and_deleted_goes_on_from_zero() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    process.record(0..100).await;
    stream.holds(100).await;
    jetstream(&stream).await.purge().await.unwrap();
    process.record(100..200).await;
    stream.holds(100).await;
    process.stop().await;
    assert_eq!(stream.clicks().await, (100..200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_restored_from_a_backup_goes_on_with_new_clicks_only() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    for round in 0..3 {
        process.record(round * 10..round * 10 + 10).await;
        stream.holds(usize::try_from(round + 1).unwrap() * 10).await;
    }
    // The backup knew the first batch only.
    let last = stream.messages().await.last().unwrap().sequence;
    for sequence in 2..=last {
        jetstream(&stream)
            .await
            .delete_message(sequence)
            .await
            .unwrap();
    }
    let kept = stream.clicks().await.len();
    process.record(30..40).await;
    stream.holds(kept + 10).await;
    process.stop().await;
    let batches = stream.messages().await;
    let (_, first, _) = click::decode_head(&batches[1].payload).unwrap();
    assert_eq!(
        first, 30,
        "what was acknowledged is not given to other numbers"
    );
    assert_eq!(stream.clicks().await[kept..], (30..40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_message_on_its_subject_stops_no_spool() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    process.record(0..10).await;
    stream.holds(10).await;
    let messages = stream.messages().await;
    let subject = messages[0].subject.clone();
    let sent = stream
        .jetstream
        .publish(subject, "not a batch".into())
        .await
        .unwrap();
    let foreign = sent.await.unwrap().sequence;
    process.record(10..20).await;
    eventually(|| async { (stream.messages().await.len() as u64 > foreign).then_some(()) }).await;
    process.stop().await;
    let messages = stream.messages().await;
    let behind = messages.iter().filter(|message| message.sequence > foreign);
    let clicks: Vec<_> = behind
        .flat_map(|message| ClickBatch::decode(&message.payload).unwrap().clicks)
        .map(|click| click.visitor)
        .collect();
    assert_eq!(clicks, (10..20).collect::<Vec<_>>());
}

async fn jetstream(stream: &Stream) -> JetStream {
    stream
        .jetstream
        .get_stream(streams::CLICKS.name)
        .await
        .expect("it is there")
}
