//! What happens to the count when something stops, disappears, or comes back from a backup.

use chassis::testing::eventually;
use events::streams;
use jiff::SignedDuration;

use crate::bench::Bench;

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let bench = Bench::new().await;
    let feeder = bench.feeder().await;
    let numbers = bench.numbers();
    for round in 0..3 {
        let analytics = bench.start().await;
        let last = feeder.publish(round * 10..round * 10 + 10).await;
        numbers.applied(last).await;
        analytics.stop().await;
        feeder.publish(round * 10 + 5..round * 10 + 10).await;
    }
    let analytics = bench.start().await;
    let last = feeder.publish(30..31).await;
    numbers.applied(last).await;
    assert_eq!(numbers.humans(feeder.link_id), Some(31));
    assert!(numbers.gaps().is_empty());
    analytics.stop().await;
}

#[tokio::test]
async fn nats_may_go_away_and_come_back() {
    let mut bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let numbers = bench.numbers();
    feeder.publish(0..5).await;
    numbers.reach(feeder.link_id, 5).await;
    bench.nats.restart().await;
    feeder.publish(5..9).await;
    numbers.reach(feeder.link_id, 9).await;
    analytics.stop().await;
}

#[tokio::test]
async fn a_stream_made_anew_is_read_from_its_first_message() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let numbers = bench.numbers();
    for number in 0..5 {
        feeder.publish(number..number + 1).await;
    }
    numbers.reach(feeder.link_id, 5).await;
    feeder
        .jetstream()
        .delete_stream(streams::CLICKS.name)
        .await
        .unwrap();
    // Its publisher repeats what it does not know to be counted, and goes on.
    feeder.publish(3..6).await;
    feeder.publish(6..8).await;
    numbers.reach(feeder.link_id, 8).await;
    assert!(numbers.gaps().is_empty());
    assert_eq!(numbers.number("SELECT count(*) FROM missed", []), Some(0));
    analytics.stop().await;
}

#[tokio::test]
async fn messages_purged_before_they_were_read_are_noted() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let numbers = bench.numbers();
    feeder.publish(0..5).await;
    numbers.reach(feeder.link_id, 5).await;
    analytics.stop().await;
    feeder.publish(5..7).await;
    feeder.publish(7..9).await;
    let stream = feeder
        .jetstream()
        .get_stream(streams::CLICKS.name)
        .await
        .unwrap();
    stream.purge().await.unwrap();
    let analytics = bench.start().await;
    feeder.publish(9..10).await;
    numbers.reach(feeder.link_id, 6).await;
    assert_eq!(
        numbers.rows("SELECT first_sequence, last_sequence FROM missed"),
        [[2, 3]]
    );
    assert_eq!(numbers.gaps(), [[5, 8]]);
    analytics.stop().await;
}

#[tokio::test]
async fn what_is_older_than_the_retention_leaves_the_stream_once_it_is_counted() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let numbers = bench.numbers();
    for number in 0..4 {
        feeder.publish(number..number + 1).await;
    }
    numbers.reach(feeder.link_id, 4).await;
    analytics.stop().await;
    feeder.publish(4..5).await;

    // A month later all of it is old, and one message is not counted yet.
    let later = bench.clock.now() + SignedDuration::from_hours(31 * 24);
    let bench = Bench {
        clock: chassis::clock::Clock::manual(later),
        ..bench
    };
    let analytics = bench.start().await;
    numbers.reach(feeder.link_id, 5).await;
    let jetstream = feeder.jetstream();
    eventually(|| async {
        let mut stream = jetstream.get_stream(streams::CLICKS.name).await.ok()?;
        (stream.info().await.ok()?.state.first_sequence >= 4).then_some(())
    })
    .await;
    analytics.stop().await;

    // The last message that was counted is still there, so that the place is found again.
    let analytics = bench.start().await;
    feeder.publish(5..6).await;
    numbers.reach(feeder.link_id, 6).await;
    assert_eq!(numbers.number("SELECT count(*) FROM missed", []), Some(0));
    analytics.stop().await;
}
