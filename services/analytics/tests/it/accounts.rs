//! Closed accounts are erased, and stay erased.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use async_nats::jetstream;
use chassis::bus::{Bus, BusConfig};
use chassis::shutdown::Shutdown;
use chassis::testing::{Folder, eventually};
use events::{AccountClosed, LinkRecord, LinkState, Partition, streams, subjects};
use uuid::Uuid;

use crate::bench::Bench;
use crate::feeder::{NOON, click};
use crate::numbers::Numbers;

/// Plays auth: declares the stream and says that an account was closed.
pub async fn close(nats_url: &str, user_id: Uuid) {
    let shutdown = Shutdown::new();
    let config = BusConfig {
        url: nats_url.to_owned(),
        credentials: None,
        replicas: 1,
    };
    let bus = Bus::connect(&config, "auth", &shutdown).await.unwrap();
    bus.declare(&streams::ACCOUNTS).await.unwrap();
    let payload = AccountClosed {
        user_id,
        at_ms: NOON,
    }
    .encode();
    let sent = bus
        .jetstream()
        .publish(subjects::account_closed(user_id), payload.into())
        .await;
    sent.unwrap().await.unwrap();
}

/// Waits until nothing of any account is left.
async fn erased(numbers: &Numbers) {
    eventually(|| async {
        (numbers.number("SELECT count(*) FROM closed_account WHERE erased = 1", []) == Some(1))
            .then_some(())
    })
    .await;
    for table in ["link", "counter", "account"] {
        let rows = numbers.number(&format!("SELECT count(*) FROM {table}"), []);
        assert_eq!(rows, Some(0), "{table}");
    }
}

#[tokio::test]
async fn a_closed_account_is_erased_and_late_clicks_are_dropped() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let numbers = bench.numbers();
    feeder.publish(0..50).await;
    numbers.reach(feeder.link_id, 50).await;
    let feed = subjects::feed(Partition::WHOLE, feeder.owner_id, "abc");
    let others_feed = subjects::feed(Partition::WHOLE, Uuid::now_v7(), "abc");
    for subject in [feed, others_feed] {
        feeder
            .jetstream()
            .publish(subject, "{}".into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    close(&bench.nats.url(), feeder.owner_id).await;
    erased(&numbers).await;
    let mut feed = feeder
        .jetstream()
        .get_stream(streams::FEED.name)
        .await
        .unwrap();
    assert_eq!(feed.info().await.unwrap().state.messages, 1);

    let other = feeder.other_spool();
    let bystander = Uuid::now_v7();
    let clicks = vec![
        click(feeder.link_id, feeder.owner_id, 0),
        click(bystander, Uuid::now_v7(), 1),
        click(feeder.link_id, feeder.owner_id, 2),
    ];
    other.publish_clicks(0, clicks).await;
    numbers.reach(bystander, 1).await;
    assert_eq!(numbers.humans(feeder.link_id), None);
    assert!(numbers.gaps().is_empty());
    analytics.stop().await;
}

#[tokio::test]
async fn a_closed_account_stays_erased_when_everything_is_read_again() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    feeder.publish(0..20).await;
    bench.numbers().reach(feeder.link_id, 20).await;
    close(&bench.nats.url(), feeder.owner_id).await;
    erased(&bench.numbers()).await;
    analytics.stop().await;

    // The database is lost; the streams hold the clicks still, and the closed account.
    let bench = Bench {
        folder: Folder::new(),
        ..bench
    };
    let analytics = bench.start().await;
    let last = feeder.publish(20..21).await;
    bench.numbers().applied(last).await;
    erased(&bench.numbers()).await;
    assert_eq!(
        bench.numbers().number("SELECT next FROM spool", []),
        Some(21)
    );
    analytics.stop().await;
}

#[tokio::test]
async fn the_link_table_names_links_before_their_first_click_and_after_their_end() {
    let bench = Bench::new().await;
    let shutdown = Shutdown::new();
    let config = BusConfig {
        url: bench.nats.url(),
        credentials: None,
        replicas: 1,
    };
    let bus = Bus::connect(&config, "shortener", &shutdown).await.unwrap();
    bus.declare(&streams::LINKS).await.unwrap();
    let analytics = bench.start().await;
    let link = LinkRecord {
        link_id: Uuid::now_v7(),
        owner_id: Uuid::now_v7(),
        code: "abc".to_owned(),
        url: "https://example.com/".to_owned(),
        version: 1,
        state: LinkState::Active,
        valid_from_ms: None,
        valid_until_ms: None,
        max_clicks: None,
        fallback_url: None,
        redirect_status: 302,
    };
    put(&bus, &link).await;
    let numbers = bench.numbers();
    numbers.reach(link.link_id, 0).await;

    // The code is taken by another link: the first one is gone, its row stays.
    let next = LinkRecord {
        link_id: Uuid::now_v7(),
        ..link.clone()
    };
    put(&bus, &next).await;
    numbers.reach(next.link_id, 0).await;
    assert_eq!(
        numbers.rows("SELECT deleted FROM link ORDER BY link_id"),
        [[1], [0]]
    );

    let mut headers = async_nats::HeaderMap::new();
    headers.insert("KV-Operation", "DEL");
    let sent = bus
        .jetstream()
        .publish_with_headers(subjects::link("abc"), headers, "".into());
    sent.await.unwrap().await.unwrap();
    let deleted = "SELECT count(*) FROM link WHERE deleted = 1";
    eventually(|| async { (numbers.number(deleted, []) == Some(2)).then_some(()) }).await;
    analytics.stop().await;
}

async fn put(bus: &Bus, link: &LinkRecord) {
    let jetstream: &jetstream::Context = bus.jetstream();
    let sent = jetstream
        .publish(subjects::link(&link.code), link.encode().into())
        .await;
    sent.unwrap().await.unwrap();
}
