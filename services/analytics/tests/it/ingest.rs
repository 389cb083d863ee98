//! Clicks from the stream into the database, each exactly once.

use events::{Hints, streams};
use uuid::Uuid;

use crate::bench::Bench;
use crate::feeder::{CURL, click};

#[tokio::test]
async fn clicks_are_counted_by_kind_time_and_visitor() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let mut clicks: Vec<_> = (0..10)
        .map(|number| click(feeder.link_id, feeder.owner_id, number))
        .collect();
    clicks[1].visitor = 0; // the same person again
    clicks[2].at_ms += 15 * 60 * 1_000;
    clicks[3].at_ms += 24 * 60 * 60 * 1_000;
    clicks[3].visitor = 0; // on another day the same number is another person
    clicks[4].user_agent = CURL.into();
    clicks[5].user_agent = "WhatsApp/2.23.20.0 A".into();
    clicks[6].hints = Hints::PREFETCH;
    clicks[7].hints = Hints::HEAD;
    clicks[8].referrer = "".into();
    clicks[9].country = None;
    feeder.publish_clicks(0, clicks).await;
    let numbers = bench.numbers();
    numbers.reach(feeder.link_id, 6).await;
    assert_eq!(
        numbers.rows("SELECT humans, bots, others, visitors FROM sums"),
        [[6, 1, 3, 5]]
    );
    assert_eq!(
        numbers.rows("SELECT humans, bots, others FROM bucket ORDER BY at"),
        [[4, 1, 3], [1, 0, 0], [1, 0, 0]]
    );
    assert_eq!(
        numbers.rows("SELECT visitors FROM visitor_day ORDER BY day"),
        [[4], [1]]
    );
    let parts = "SELECT b.dimension, b.clicks FROM breakdown b JOIN label l ON l.id = b.label
                 WHERE l.text IN ('news.example', 'DE', 'Firefox', 'Linux', 'desktop', 'de',
                                  'human', 'bot', 'preview', 'prefetch', 'head')
                 ORDER BY 1, 2";
    assert_eq!(
        numbers.rows(parts),
        [
            [1, 5],
            [2, 5],
            [3, 6],
            [4, 6],
            [5, 6],
            [6, 6],
            [7, 1],
            [7, 1],
            [7, 1],
            [7, 1],
            [7, 6],
        ]
    );
    analytics.stop().await;
}

#[tokio::test]
async fn a_batch_that_comes_again_wholly_or_in_part_counts_once() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let other = feeder.other_spool();
    feeder.publish(0..10).await;
    feeder.publish(0..10).await;
    feeder.publish(5..15).await;
    other.publish(0..3).await;
    feeder.publish(2..4).await;
    let last = other.publish(0..4).await;
    let numbers = bench.numbers();
    numbers.applied(last).await;
    assert_eq!(numbers.humans(feeder.link_id), Some(19));
    assert_eq!(numbers.number("SELECT visitors FROM sums", []), Some(15));
    assert!(numbers.gaps().is_empty());
    analytics.stop().await;
}

#[tokio::test]
async fn skipped_numbers_are_a_gap_that_a_late_batch_narrows() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let late = feeder.other_spool();
    feeder.publish(0..5).await;
    let last = feeder.publish(10..12).await;
    let numbers = bench.numbers();
    numbers.applied(last).await;
    assert_eq!(numbers.gaps(), [[5, 9]]);
    assert_eq!(numbers.humans(feeder.link_id), Some(7));

    let last = feeder.publish(7..9).await;
    numbers.applied(last).await;
    assert_eq!(numbers.gaps(), [[5, 6], [9, 9]]);

    let last = feeder.publish(4..12).await;
    numbers.applied(last).await;
    assert!(numbers.gaps().is_empty());
    assert_eq!(numbers.humans(feeder.link_id), Some(12));

    // A spool that nobody has heard of, and its beginning is missing.
    let last = late.publish(3..4).await;
    numbers.applied(last).await;
    assert_eq!(numbers.gaps(), [[0, 2]]);
    analytics.stop().await;
}

#[tokio::test]
async fn a_message_that_can_not_be_read_is_set_aside_and_its_numbers_are_a_gap() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    feeder.publish(0..3).await;
    let garbage = feeder.publish_bytes(b"no batch at all".to_vec()).await;
    let mut hostile = click(feeder.link_id, feeder.owner_id, 3);
    hostile.code = "a.b.>".into();
    let impossible = feeder.publish_clicks(3, vec![hostile]).await;
    let last = feeder.publish(6..8).await;
    let numbers = bench.numbers();
    numbers.applied(last).await;
    assert_eq!(numbers.humans(feeder.link_id), Some(5));
    let missing = numbers.number("SELECT sum(last - first + 1) FROM gap", []);
    assert_eq!(missing, Some(3));

    let dead = feeder
        .jetstream()
        .get_stream(streams::DEAD.name)
        .await
        .unwrap();
    for (at, sequence, reason) in [
        (1, garbage, "no batch"),
        (2, impossible, "\"a.b.>\" is no code"),
    ] {
        let message = dead.get_raw_message(at).await.unwrap();
        assert_eq!(message.subject.as_str(), "dead.v1.CLICKS");
        let header = |name| message.headers.get(name).unwrap().to_string();
        assert!(
            header("Kurz-Reason").contains(reason),
            "{}",
            header("Kurz-Reason")
        );
        assert_eq!(header("Kurz-Sequence"), sequence.to_string());
        assert!(header("Kurz-Subject").starts_with("clicks.v1.0."));
    }

    // The message is mended and published again: the gap closes.
    let last = feeder.publish(3..6).await;
    numbers.applied(last).await;
    assert!(numbers.gaps().is_empty());
    assert_eq!(numbers.humans(feeder.link_id), Some(8));
    analytics.stop().await;
}

#[tokio::test]
async fn a_batch_on_a_foreign_subject_or_without_clicks_is_set_aside() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    feeder.publish_clicks(0, Vec::new()).await;
    let foreign = events::ClickBatch {
        spool: Uuid::now_v7(),
        first: 0,
        clicks: vec![click(feeder.link_id, feeder.owner_id, 0)],
    };
    feeder.publish_bytes(foreign.encode()).await;
    feeder
        .publish_clicks(u64::MAX, vec![click(feeder.link_id, feeder.owner_id, 0)])
        .await;
    let last = feeder.publish(0..1).await;
    let numbers = bench.numbers();
    numbers.applied(last).await;
    assert_eq!(numbers.humans(feeder.link_id), Some(1));
    let mut dead = feeder
        .jetstream()
        .get_stream(streams::DEAD.name)
        .await
        .unwrap();
    assert_eq!(dead.info().await.unwrap().state.messages, 3);
    analytics.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_does_not_invent_a_century() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let mut clicks = vec![
        click(feeder.link_id, feeder.owner_id, 0),
        click(feeder.link_id, feeder.owner_id, 1),
        click(feeder.link_id, feeder.owner_id, 2),
    ];
    clicks[0].at_ms = i64::MAX;
    clicks[1].at_ms = i64::MIN;
    clicks[2].at_ms = 0;
    feeder.publish_clicks(0, clicks).await;
    let numbers = bench.numbers();
    numbers.reach(feeder.link_id, 3).await;
    let now = bench.clock.now_ms();
    let first = numbers
        .number("SELECT first_click_at_ms FROM sums", [])
        .unwrap();
    let last = numbers
        .number("SELECT last_click_at_ms FROM sums", [])
        .unwrap();
    assert!((now - first).abs() < 60_000 && (now - last).abs() < 60_000);
    analytics.stop().await;
}
