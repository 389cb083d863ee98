use std::time::{Duration, Instant};

use chassis::telemetry::render_metrics;
use chassis::testing::NatsServer;
use redirector::recorder::{Durability, RecorderConfig, SyncPolicy};
use uuid::Uuid;

use super::process::{Process, segments, spool_in};
use super::stream::{Stream, numbers};

fn level(durability: Durability, folder: &tempfile::TempDir) -> RecorderConfig {
    RecorderConfig {
        durability,
        ..spool_in(folder)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_level_ack_the_click_is_stored_before_the_answer() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(level(Durability::Ack, &folder), &nats.url()).await;
    process.connected().await;
    for number in 0..20 {
        process.record(number..number + 1).await;
        assert_eq!(stream.clicks().await.len() as u64, number + 1);
    }
    let receipts: Vec<_> = (20..500)
        .map(|number| process.receipt(Uuid::nil(), number))
        .collect();
    for receipt in receipts {
        receipt.settled().await;
    }
    assert_eq!(stream.clicks().await, (0..500).collect::<Vec<_>>());
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_level_ack_nobody_waits_for_long_when_nats_is_away() {
    let mut nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(level(Durability::Ack, &folder), &nats.url()).await;
    process.record(0..1).await;
    nats.stop().await;
    let before = fallbacks();
    let started = Instant::now();
    process.record(1..6).await;
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    assert!(fallbacks() >= before + 5);
    nats.restart().await;
    stream.holds(6).await;
    process.stop().await;
    assert_eq!(stream.clicks().await, (0..6).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_level_memory_clicks_arrive_and_no_file_is_made() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(level(Durability::Memory, &folder), &nats.url()).await;
    process.record(0..2_000).await;
    process.stop().await;
    assert_eq!(stream.clicks().await, (0..2_000).collect::<Vec<_>>());
    assert!(!folder.path().join("spool").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_level_memory_what_a_spool_left_is_published_too() {
    let mut nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let url = nats.url();
    nats.stop().await;
    let killed = Process::start(level(Durability::Spool, &folder), &url).await;
    killed.record(0..10).await;
    killed.kill().await;
    nats.restart().await;
    let process = Process::start(level(Durability::Memory, &folder), &url).await;
    stream.holds(10).await;
    process.stop().await;
    assert!(segments(&folder).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_without_nats_ends_in_time_and_counts_what_memory_loses() {
    let mut nats = NatsServer::start().await;
    let url = nats.url();
    nats.stop().await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(level(Durability::Memory, &folder), &url).await;
    process.record(0..1_234).await;
    process.stop().await;
    assert_eq!(
        metric("kurz_clicks_dropped_total{reason=\"stopped\"}"),
        1_234
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_without_nats_leaves_the_spool_for_the_next_start() {
    let mut nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let url = nats.url();
    nats.stop().await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(level(Durability::Spool, &folder), &url).await;
    process.record(0..100).await;
    process.stop().await;
    assert_eq!(segments(&folder).len(), 1);
    nats.restart().await;
    let process = Process::start(level(Durability::Spool, &folder), &url).await;
    stream.holds(100).await;
    process.stop().await;
    assert!(segments(&folder).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_keeps_the_oldest_clicks_and_counts_the_others() {
    let mut nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let url = nats.url();
    nats.stop().await;
    let folder = tempfile::tempdir().unwrap();
    let config = RecorderConfig {
        bytes: 128 << 10,
        ..level(Durability::Spool, &folder)
    };
    let process = Process::start(config, &url).await;
    process.record(0..5_000).await;
    assert!(metric("kurz_clicks_dropped_total{reason=\"full\"}") > 0);
    nats.restart().await;
    stream.holds(500).await;
    process.stop().await;
    let clicks = stream.clicks().await;
    assert!(clicks.len() < 5_000);
    assert_eq!(clicks, (0..clicks.len() as u64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sync_policy_brings_every_click() {
    let nats = NatsServer::start().await;
    let stream = Stream::declare(&nats).await;
    let policies = [
        SyncPolicy::None,
        SyncPolicy::Every(Duration::from_millis(2)),
        SyncPolicy::Each,
    ];
    for sync in policies {
        let folder = tempfile::tempdir().unwrap();
        let config = RecorderConfig {
            sync,
            ..level(Durability::Spool, &folder)
        };
        let process = Process::start(config, &nats.url()).await;
        process.record(0..100).await;
        process.stop().await;
    }
    assert_eq!(
        stream.spools().await.into_values().collect::<Vec<_>>(),
        vec![numbers(0..100); 3]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_too_small_to_work_is_refused() {
    let nats = NatsServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = RecorderConfig {
        bytes: 1_000,
        ..level(Durability::Spool, &folder)
    };
    let error = Process::try_start(config, &nats.url())
        .await
        .err()
        .expect("it is too small");
    assert!(
        error.to_string().contains("at least 131072 bytes"),
        "{error}"
    );
}

fn fallbacks() -> u64 {
    metric("kurz_click_ack_fallbacks_total")
}

/// The value of a metric of this process: of all tests in it.
fn metric(name: &str) -> u64 {
    let text = render_metrics();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |value| {
        value.trim().parse().expect("a counter is a whole number")
    })
}
