//! From the recorder to the stream, against a real nats-server: each click once and in order,
//! whatever fails on the way.

mod faults;
mod levels;
mod process;
mod proxy;
mod restarts;
mod stream;

use chassis::testing::NatsServer;
use events::{CONTENT_TYPE, click, subjects};
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
        assert!(click::decode_head(&message.payload).unwrap().2 <= 500);
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
        assert_eq!(message.subject.as_str(), subjects::clicks(0, spool));
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
async fn all_clicks_of_an_account_are_in_one_partition() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = spool_in(&folder);
    config.partitions = 3;
    let process = Process::start(config, &nats.url()).await;
    let owners: Vec<_> = (0..20).map(|_| Uuid::now_v7()).collect();
    for number in 0..200 {
        process
            .record_of(owners[number % owners.len()], number as u64)
            .await;
    }
    stream.holds(200).await;
    let mut partitions = std::collections::BTreeMap::new();
    for message in stream.messages().await {
        let partition = message
            .subject
            .as_str()
            .split('.')
            .nth(2)
            .unwrap()
            .to_owned();
        for click in events::ClickBatch::decode(&message.payload).unwrap().clicks {
            let home = partitions
                .entry(click.owner_id)
                .or_insert_with(|| partition.clone());
            assert_eq!(*home, partition);
        }
    }
    assert_eq!(partitions.len(), 20);
    assert_eq!(stream.spools().await.len(), 3);
}
