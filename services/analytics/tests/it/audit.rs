//! What the audit says when something is lost, and when nothing is.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use chassis::clock::Clock;
use chassis::testing::{Running, eventually};
use events::{SpoolReport, SpoolState, streams, subjects};
use reqwest::StatusCode;

use crate::bench::Bench;
use crate::feeder::Feeder;

/// Says, as a redirector does, how far the feeder's spool is.
async fn announce(bench: &Bench, feeder: &Feeder, reached: [u64; 2], state: SpoolState) {
    let [appended, acknowledged] = reached;
    let report = SpoolReport {
        spool: feeder.spool,
        partition: 0,
        partitions: 1,
        appended,
        acknowledged,
        at_ms: bench.clock.now_ms(),
        state,
    };
    let subject = subjects::spool(feeder.spool);
    eventually(|| async {
        let sent = feeder
            .jetstream()
            .publish(subject.clone(), report.encode().into());
        sent.await.ok()?.await.ok()
    })
    .await;
}

async fn audit(analytics: &Running<analytics::App>) -> (StatusCode, String) {
    post(analytics, "/audit").await
}

/// Runs a maintenance command.
pub async fn post(analytics: &Running<analytics::App>, path: &str) -> (StatusCode, String) {
    let url = format!("{}{path}", analytics.admin_url);
    let response = analytics.client().post(url).send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

/// The numbers of the last line of the table: appended, published, counted, outstanding, missing.
fn total(text: &str) -> Vec<u64> {
    let line = text.lines().find(|line| line.starts_with("all ")).unwrap();
    let words = line.split_whitespace().skip(3);
    words.map(|word| word.parse().unwrap()).collect()
}

#[tokio::test]
async fn the_books_are_in_order_while_nothing_is_lost() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let (feeder, idle) = (bench.feeder().await, bench.feeder().await);
    let last = feeder.publish(0..5).await;
    bench.numbers().applied(last).await;
    announce(&bench, &feeder, [7, 5], SpoolState::Open).await;
    announce(&bench, &idle, [0, 0], SpoolState::Retired).await;
    let (status, text) = audit(&analytics).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert_eq!(total(&text), [7, 5, 5, 2, 0], "{text}");
    assert!(text.contains(&feeder.spool.to_string()), "{text}");
    assert!(text.contains("nothing is missing"), "{text}");

    let last = feeder.publish(5..7).await;
    bench.numbers().applied(last).await;
    announce(&bench, &feeder, [7, 7], SpoolState::Retired).await;
    let (status, text) = audit(&analytics).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert_eq!(total(&text), [7, 7, 7, 0, 0], "{text}");
    analytics.stop().await;
}

#[tokio::test]
async fn a_tail_that_a_retired_spool_never_published_is_found() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let last = feeder.publish(0..5).await;
    bench.numbers().applied(last).await;
    announce(&bench, &feeder, [9, 5], SpoolState::Retired).await;
    let (status, text) = audit(&analytics).await;
    assert_eq!(status, StatusCode::CONFLICT, "{text}");
    assert_eq!(total(&text), [9, 5, 5, 0, 4], "{text}");
    analytics.stop().await;
}

#[tokio::test]
async fn a_spool_that_fell_silent_is_missed_after_an_hour() {
    // By the server's clock reports are stored, and that can't be set.
    let clock = Clock::manual(Clock::system().now());
    let bench = Bench {
        clock,
        ..Bench::new().await
    };
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let last = feeder.publish(0..5).await;
    bench.numbers().applied(last).await;
    announce(&bench, &feeder, [6, 5], SpoolState::Open).await;
    bench.clock.advance(jiff::SignedDuration::from_mins(59));
    assert_eq!(audit(&analytics).await.0, StatusCode::OK);
    bench.clock.advance(jiff::SignedDuration::from_mins(2));
    let (status, text) = audit(&analytics).await;
    assert_eq!(status, StatusCode::CONFLICT, "{text}");
    assert!(text.contains("silent"), "{text}");
    analytics.stop().await;
}

#[tokio::test]
async fn messages_removed_from_the_stream_unread_are_found() {
    let bench = Bench::new().await;
    let feeder = bench.feeder().await;
    let analytics = bench.start().await;
    let last = feeder.publish(0..5).await;
    bench.numbers().applied(last).await;
    analytics.stop().await;

    let stream = feeder.jetstream().get_stream(streams::CLICKS.name);
    let stream = stream.await.unwrap();
    let middle = feeder.publish(5..7).await;
    let last = feeder.publish(7..8).await;
    stream.delete_message(middle).await.unwrap();
    announce(&bench, &feeder, [8, 8], SpoolState::Open).await;
    let analytics = bench.start().await;
    bench.numbers().applied(last).await;
    let (status, text) = audit(&analytics).await;
    assert_eq!(status, StatusCode::CONFLICT, "{text}");
    assert_eq!(total(&text), [8, 8, 6, 0, 2], "{text}");
    analytics.stop().await;

    // The last one leaves no gap: only the announcement knows of it.
    let last = feeder.publish(8..9).await;
    stream.delete_message(last).await.unwrap();
    announce(&bench, &feeder, [9, 9], SpoolState::Open).await;
    let analytics = bench.start().await;
    let (status, text) = audit(&analytics).await;
    assert_eq!(status, StatusCode::CONFLICT, "{text}");
    assert_eq!(total(&text), [9, 9, 6, 0, 3], "{text}");
    analytics.stop().await;
}

#[tokio::test]
async fn without_nats_there_is_no_audit() {
    let mut bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let last = feeder.publish(0..5).await;
    bench.numbers().applied(last).await;
    bench.nats.stop().await;
    let (status, text) = audit(&analytics).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
    bench.nats.restart().await;
    analytics.stop().await;
}
