//! From the recorder to the stream, against a real nats-server: each click once and in order,
//! whatever fails on the way.

mod faults;
mod levels;
mod process;
mod proxy;
mod restarts;
mod stream;

use chassis::testing::NatsServer;
use events::{CONTENT_TYPE, Partition, click, subjects};
use uuid::Uuid;

use process::{Process, spool_in};
use stream::Stream;

#[tokio::test(flavor = "multi_thread")]
async fn clicks_arrive_once_in_order_and_leave_no_file() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    process.record(0..5_000).await;
    stream.holds(5_000).await;
    process.stop().await;
    let spools = stream.spools().await;
    assert_eq!(spools.len(), 1);
    assert_eq!(
        spools.values().next().unwrap(),
        &(0..5_000).collect::<Vec<_>>()
    );
    assert!(process::segments(&folder).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sends_what_is_still_there() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    process.record(0..3_000).await;
    process.stop().await;
    assert_eq!(stream.clicks().await, (0..3_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_share_messages_under_load() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    process.record(0..10_000).await;
    stream.holds(10_000).await;
    let messages = stream.messages().await;
    assert!(messages.len() < 1_000, "{} messages", messages.len());
    for message in &messages {
        assert!(click::decode_head(&message.payload).unwrap().2 <= 1_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_says_what_it_is_and_where_it_belongs() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(spool_in(&folder), &nats.url()).await;
    process.record(0..1).await;
    stream.holds(1).await;
    process.record(1..2).await;
    stream.holds(2).await;
    let messages = stream.messages().await;
    let spool = click::decode_head(&messages[0].payload).unwrap().0;
    for (message, expected) in messages.iter().zip(["0", "1"]) {
        assert_eq!(
            message.subject.as_str(),
            subjects::clicks(Partition::WHOLE, spool)
        );
        let header = |name: &str| {
            message
                .headers
                .get(name)
                .map(|value| value.as_str().to_owned())
        };
        assert_eq!(header("content-type").as_deref(), Some(CONTENT_TYPE));
        assert_eq!(
            header("Nats-Expected-Last-Subject-Sequence").as_deref(),
            Some(expected)
        );
        assert_eq!(header("Nats-Expected-Stream").as_deref(), Some("CLICKS"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clicks_of_an_account_are_in_the_stream_of_its_partition() {
    let nats = NatsServer::start().await;
    let mut streams = Vec::new();
    for partition in Partition::all(3) {
        streams.push((partition, Stream::declare_in(&nats, partition).await));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut config = spool_in(&folder);
    config.partitions = 3;
    let process = Process::start(config, &nats.url()).await;
    let owners: Vec<_> = (0..20).map(Uuid::from_u128).collect();
    for number in 0..200 {
        process
            .record_of(owners[number % owners.len()], number as u64)
            .await;
    }
    for (partition, stream) in &streams {
        let here = owners.iter().filter(|&&owner| partition.holds(owner));
        let here = here.count();
        assert!(here > 0, "each partition has some of the accounts");
        stream.holds(here * 10).await;
        assert_eq!(stream.spools().await.len(), 1);
        for message in stream.messages().await {
            let batch = events::ClickBatch::decode(&message.payload).unwrap();
            assert_eq!(*message.subject, *subjects::clicks(*partition, batch.spool));
            assert!(
                batch
                    .clicks
                    .iter()
                    .all(|click| partition.holds(click.owner_id))
            );
        }
    }
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_of_another_division_waits_and_is_in_nobodys_way() {
    let nats = NatsServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    // There is no stream yet.
    let before = Process::start(spool_in(&folder), &nats.url()).await;
    before.record(0..10).await;
    before.kill().await;
    let streams = [0, 1].map(|number| Partition::new(number, 2).unwrap());
    let streams = [
        Stream::declare_in(&nats, streams[0]).await,
        Stream::declare_in(&nats, streams[1]).await,
    ];
    let config = || redirector::recorder::RecorderConfig {
        partitions: 2,
        ..spool_in(&folder)
    };
    let url = nats.url();
    // One that left something, too, behind the one that can't be published.
    let killed = Process::start(config(), "nats://127.0.0.1:9").await;
    killed.record_of(Uuid::from_u128(1), 20).await;
    killed.kill().await;
    let process = Process::start(config(), &url).await;
    process.record_of(Uuid::from_u128(1), 21).await;
    let number = Partition::of_account(Uuid::from_u128(1), 2).number() as usize;
    streams[number].holds(2).await;
    process.kill().await;
    assert!(streams[1 - number].clicks().await.is_empty());
    let mut clicks = streams[number].clicks().await;
    clicks.sort_unstable();
    assert_eq!(clicks, [20, 21]);
    // With the division as it was they are published.
    for stream in &streams {
        stream.delete().await;
    }
    let whole = Stream::declare(&nats).await;
    let process = Process::start(spool_in(&folder), &url).await;
    whole.holds(10).await;
    process.stop().await;
    assert_eq!(whole.clicks().await, (0..10).collect::<Vec<_>>());
}
