//! Messages that were set aside, and what becomes of them when they are tried again.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use chassis::testing::eventually;
use events::{ClickBatch, Partition, streams, subjects};
use reqwest::StatusCode;

use crate::audit::post;
use crate::bench::Bench;
use crate::feeder::{Feeder, click};

/// Sets a batch aside, as an older version did that could not read it; its sequence in `DEAD`.
pub async fn set_aside(feeder: &Feeder, numbers: std::ops::Range<u64>) -> u64 {
    let batch = ClickBatch {
        spool: feeder.spool,
        first: numbers.start,
        clicks: numbers
            .map(|number| click(feeder.link_id, feeder.owner_id, number))
            .collect(),
    };
    let mut headers = HeaderMap::new();
    headers.insert("Kurz-Reason", "not a valid Click: from the future");
    headers.insert(
        "Kurz-Subject",
        subjects::clicks(Partition::WHOLE, feeder.spool).as_str(),
    );
    headers.insert("Kurz-Sequence", "2");
    headers.insert("Kurz-Epoch", "the-epoch");
    let payload = bytes::Bytes::from(batch.encode());
    eventually(|| async {
        let message = PublishMessage::build()
            .payload(payload.clone())
            .headers(headers.clone());
        let sent = feeder
            .jetstream()
            .send_publish(subjects::dead(streams::CLICKS.name), message);
        Some(sent.await.ok()?.await.ok()?.sequence)
    })
    .await
}

async fn dead_messages(feeder: &Feeder) -> u64 {
    let stream = feeder.jetstream().get_stream(streams::DEAD.name).await;
    stream.unwrap().cached_info().state.messages
}

#[tokio::test]
async fn a_retry_closes_the_gap_and_counts_once() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let numbers = bench.numbers();
    feeder.publish(0..3).await;
    let last = feeder.publish(5..8).await;
    numbers.applied(last).await;
    assert_eq!(numbers.gaps(), [[3, 4]]);
    let sequence = set_aside(&feeder, 3..5).await;
    let twin = set_aside(&feeder, 3..5).await;

    let (status, text) = post(&analytics, "/dead/list").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("from the future"), "{text}");
    assert!(text.contains(&feeder.spool.to_string()), "{text}");

    let path = format!("/dead/retry?sequence={sequence}");
    let (status, text) = post(&analytics, &path).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(text.contains("2 clicks counted"), "{text}");
    assert_eq!(numbers.humans(feeder.link_id), Some(8));
    assert!(numbers.gaps().is_empty());
    assert_eq!(dead_messages(&feeder).await, 1);
    assert_eq!(post(&analytics, &path).await.0, StatusCode::NOT_FOUND);

    let path = format!("/dead/retry?sequence={twin}");
    let (status, text) = post(&analytics, &path).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(text.contains("0 clicks counted, 2 seen before"), "{text}");
    assert_eq!(numbers.humans(feeder.link_id), Some(8));
    assert_eq!(dead_messages(&feeder).await, 0);
    // The position did not move: what comes next is counted as ever.
    let last = feeder.publish(8..9).await;
    numbers.applied(last).await;
    assert_eq!(numbers.humans(feeder.link_id), Some(9));
    analytics.stop().await;
}

#[tokio::test]
async fn what_still_can_not_be_read_stays_dead_and_says_why() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    feeder.publish_bytes(b"no batch".to_vec()).await;
    let last = feeder.publish(0..2).await;
    bench.numbers().applied(last).await;
    let good = set_aside(&feeder, 2..4).await;
    let (status, text) = post(&analytics, "/dead/retry").await;
    assert_eq!(status, StatusCode::CONFLICT, "{text}");
    assert!(text.contains("1: still dead: no batch"), "{text}");
    assert!(
        text.contains(&format!("{good}: 2 clicks counted")),
        "{text}"
    );
    assert!(text.contains("1 of 2 messages counted"), "{text}");
    assert_eq!(dead_messages(&feeder).await, 1);
    assert_eq!(bench.numbers().humans(feeder.link_id), Some(4));
    for path in ["/dead/retry?sequence=9", "/dead/retry?sequence=0"] {
        assert_eq!(post(&analytics, path).await.0, StatusCode::NOT_FOUND);
    }
    for path in ["/dead/retry?sequence=x", "/dead/retry?all=true"] {
        let (status, _) = post(&analytics, path).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
    analytics.stop().await;
}
