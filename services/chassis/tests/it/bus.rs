use std::time::Duration;

use chassis::bus::{Declared, Start};
use chassis::testing::{NatsServer, eventually};
use events::StreamSpec;
use events::streams::{CLICKS, DEAD, LINKS};

use crate::support::bus;

#[tokio::test]
async fn a_stream_keeps_its_epoch_until_it_is_made_anew() {
    let nats = NatsServer::start().await;
    let bus = bus(&nats).await;
    assert_eq!(bus.declare(&CLICKS).await.unwrap(), Declared::Created);
    let epoch = bus.epoch(CLICKS.name).await.unwrap();
    assert_eq!(bus.declare(&CLICKS).await.unwrap(), Declared::Existing);
    assert_eq!(bus.epoch(CLICKS.name).await.unwrap(), epoch);
    bus.jetstream().delete_stream(CLICKS.name).await.unwrap();
    assert_eq!(bus.declare(&CLICKS).await.unwrap(), Declared::Created);
    assert_ne!(bus.epoch(CLICKS.name).await.unwrap(), epoch);
}

#[tokio::test]
async fn a_change_that_loses_messages_is_refused() {
    let nats = NatsServer::start().await;
    let bus = bus(&nats).await;
    let patient = StreamSpec {
        max_age: None,
        ..DEAD
    };
    bus.declare(&patient).await.unwrap();
    // Nothing is in it: nothing can be lost, in either direction.
    bus.declare(&DEAD).await.unwrap();
    bus.declare(&patient).await.unwrap();
    bus.jetstream()
        .publish("dead.v1.X", "x".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let refusal = bus.declare(&DEAD).await.unwrap_err().to_string();
    assert!(refusal.contains("tighter limits"), "{refusal}");
    let shorter = StreamSpec {
        max_age: Some(Duration::from_secs(1)),
        ..DEAD
    };
    bus.declare(&shorter).await.unwrap_err();
}

#[tokio::test]
async fn messages_are_followed_in_order_across_a_restart_of_nats() {
    let mut nats = NatsServer::start().await;
    let bus = bus(&nats).await;
    bus.declare(&CLICKS).await.unwrap();
    publish(&bus, 0..50).await;
    let mut follow = bus.follow(CLICKS.name, None, Start::First).await.unwrap();
    assert_eq!(follow.backlog(), 50);
    let mut seen = Vec::new();
    while seen.len() < 50 {
        let message = follow.next().await.unwrap().unwrap();
        assert_eq!(message.pending, 49 - u64::try_from(seen.len()).unwrap());
        assert!(message.stored_at_ns > 1_000_000_000_000_000_000);
        seen.push(message.sequence);
    }
    nats.restart().await;
    eventually(|| async { bus.is_connected().then_some(()) }).await;
    publish(&bus, 50..60).await;
    while seen.len() < 60 {
        if let Some(Ok(message)) = follow.next().await {
            seen.push(message.sequence);
            continue;
        }
        // As any follower must: from the own position on.
        let from = Start::Sequence(seen.last().unwrap() + 1);
        follow = eventually(|| async { bus.follow(CLICKS.name, None, from).await.ok() }).await;
    }
    assert_eq!(seen, (1..=60).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_follow_ends_with_its_stream_and_reads_no_other() {
    let nats = NatsServer::start().await;
    let bus = bus(&nats).await;
    bus.declare(&CLICKS).await.unwrap();
    publish(&bus, 0..2).await;
    let mut follow = bus.follow(CLICKS.name, None, Start::First).await.unwrap();
    assert_eq!(follow.probe().came(), 0);
    for sequence in 1..=2 {
        let message = follow.next().await.unwrap().unwrap();
        assert_eq!(message.sequence, sequence);
        assert_eq!(follow.probe().came(), sequence);
    }
    assert_eq!(follow.probe().pending().await.unwrap(), 0);
    bus.jetstream().delete_stream(CLICKS.name).await.unwrap();
    bus.declare(&CLICKS).await.unwrap();
    publish(&bus, 0..4).await;
    // Behind the place where it stood there are messages now, but of another stream.
    follow.probe().pending().await.unwrap_err();
    assert!(!matches!(follow.next().await, Some(Ok(_))));
}

#[tokio::test]
async fn a_follow_ends_when_the_server_forgets_it() {
    let mut nats = NatsServer::start().await;
    let bus = bus(&nats).await;
    bus.declare(&CLICKS).await.unwrap();
    publish(&bus, 0..1).await;
    let mut follow = bus.follow(CLICKS.name, None, Start::First).await.unwrap();
    assert_eq!(follow.next().await.unwrap().unwrap().sequence, 1);
    nats.restart().await;
    publish(&bus, 1..2).await;
    assert!(!matches!(follow.next().await, Some(Ok(_))));
}

#[tokio::test]
async fn the_last_value_of_each_subject_comes_first() {
    let nats = NatsServer::start().await;
    let bus = bus(&nats).await;
    bus.declare(&LINKS).await.unwrap();
    for value in ["a", "b"] {
        for code in ["x", "y"] {
            let subject = events::subjects::link(code);
            bus.jetstream()
                .publish(subject, value.into())
                .await
                .unwrap()
                .await
                .unwrap();
        }
    }
    let mut follow = bus
        .follow(
            LINKS.name,
            Some(events::subjects::LINKS_ALL),
            Start::LastPerSubject,
        )
        .await
        .unwrap();
    assert_eq!(follow.backlog(), 2);
    for _ in 0..2 {
        assert_eq!(follow.next().await.unwrap().unwrap().payload, "b");
    }
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_an_error() {
    let nats = NatsServer::start().await;
    let bus = bus(&nats).await;
    assert!(bus.follow(CLICKS.name, None, Start::First).await.is_err());
    assert!(bus.epoch(CLICKS.name).await.is_err());
}

async fn publish(bus: &chassis::bus::Bus, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let payload = number.to_string().into();
        let stored = eventually(|| async {
            let publish = bus
                .jetstream()
                .publish("clicks.v1.0.s", Clone::clone(&payload))
                .await;
            publish.ok()?.await.ok()
        });
        let _: async_nats::jetstream::publish::PublishAck = stored.await;
    }
}
