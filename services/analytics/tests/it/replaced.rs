//! A stream that comes back as another one, or loses messages before they are read.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use async_nats::jetstream::stream::Stream;
use chassis::testing::{Folder, eventually};
use events::streams;
use jiff::SignedDuration;

use crate::bench::{Bench, copy_folder};
use crate::feeder::Feeder;

async fn clicks(feeder: &Feeder) -> Stream {
    let stream = feeder.jetstream().get_stream(streams::CLICKS.name);
    stream.await.unwrap()
}

/// What the stream holds now, as a folder that can be put in its place.
async fn back_up(bench: &mut Bench) -> Folder {
    bench.nats.stop().await;
    let folder = Folder::new();
    copy_folder(&bench.nats.store(), folder.path());
    bench.nats.restart().await;
    folder
}

async fn restore(bench: &mut Bench, backup: &Folder) {
    bench.nats.stop().await;
    std::fs::remove_dir_all(bench.nats.store()).unwrap();
    copy_folder(backup.path(), &bench.nats.store());
    bench.nats.restart().await;
}

/// Five messages were counted, then the stream is restored to the first of them and grows to six by
/// what another redirector publishes. Analytics is stopped.
async fn restored_and_grown(bench: &mut Bench, feeder: &Feeder) -> Feeder {
    let analytics = bench.start().await;
    feeder.publish(0..1).await;
    bench.numbers().reach(feeder.link_id, 1).await;
    analytics.stop().await;
    let backup = back_up(bench).await;
    let analytics = bench.start().await;
    for number in 1..5 {
        feeder.publish(number..number + 1).await;
    }
    bench.numbers().reach(feeder.link_id, 5).await;
    analytics.stop().await;
    restore(bench, &backup).await;
    let other = feeder.other_spool();
    for number in 0..5 {
        other.publish(number..number + 1).await;
    }
    other
}

#[tokio::test]
async fn a_restored_stream_is_counted_though_its_sequences_were_read_before() {
    let mut bench = Bench::new().await;
    let feeder = bench.feeder().await;
    restored_and_grown(&mut bench, &feeder).await;
    let analytics = bench.start().await;
    bench.numbers().reach(feeder.link_id, 10).await;
    assert!(bench.numbers().gaps().is_empty());
    let missed = bench.numbers().number("SELECT count(*) FROM missed", []);
    assert_eq!(missed, Some(0));
    analytics.stop().await;
}

#[tokio::test]
async fn what_a_restored_stream_loses_before_it_is_read_is_noted() {
    let mut bench = Bench::new().await;
    let feeder = bench.feeder().await;
    restored_and_grown(&mut bench, &feeder).await;
    // In the stream before, this sequence was read.
    clicks(&feeder).await.delete_message(4).await.unwrap();
    let analytics = bench.start().await;
    bench.numbers().reach(feeder.link_id, 9).await;
    let numbers = bench.numbers();
    assert_eq!(
        numbers.rows("SELECT first_sequence, last_sequence FROM missed"),
        [[4, 4]]
    );
    assert_eq!(numbers.gaps(), [[2, 2]]);
    analytics.stop().await;
}

#[tokio::test]
async fn what_a_restored_stream_holds_is_not_deleted_before_it_is_counted() {
    let mut bench = Bench::new().await;
    let feeder = bench.feeder().await;
    restored_and_grown(&mut bench, &feeder).await;
    // All of it is old: the sweep of the start could delete it before the ingest has read it.
    let later = bench.clock.now() + SignedDuration::from_hours(31 * 24);
    bench.clock = chassis::clock::Clock::manual(later);
    let analytics = bench.start().await;
    bench.numbers().reach(feeder.link_id, 10).await;
    assert!(bench.numbers().gaps().is_empty());
    analytics.stop().await;
}

#[tokio::test]
async fn a_stream_replaced_while_it_is_followed_is_read_from_its_first_message() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    for number in 0..5 {
        feeder.publish(number..number + 1).await;
    }
    bench.numbers().reach(feeder.link_id, 5).await;
    // As a restore does: it keeps its identity.
    let config = clicks(&feeder).await.cached_info().config.clone();
    let jetstream = feeder.jetstream();
    jetstream.delete_stream(&config.name).await.unwrap();
    jetstream.create_stream(config).await.unwrap();
    let other = feeder.other_spool();
    for number in 0..7 {
        other.publish(number..number + 1).await;
    }
    bench.numbers().reach(feeder.link_id, 12).await;
    assert!(bench.numbers().gaps().is_empty());
    analytics.stop().await;
}

#[tokio::test]
async fn messages_purged_at_the_end_of_the_stream_are_noted_though_none_comes() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let numbers = bench.numbers();
    feeder.publish(0..5).await;
    numbers.reach(feeder.link_id, 5).await;
    analytics.stop().await;
    feeder.publish(5..7).await;
    feeder.publish(7..9).await;
    clicks(&feeder).await.purge().await.unwrap();

    // Each start finds the same, and stores it once.
    for _ in 0..2 {
        let analytics = bench.start().await;
        noted(&bench, [2, 3]).await;
        analytics.stop().await;
    }
    let analytics = bench.start().await;
    feeder.publish(9..10).await;
    numbers.reach(feeder.link_id, 6).await;
    noted(&bench, [2, 3]).await;
    assert_eq!(numbers.gaps(), [[5, 8]]);
    analytics.stop().await;
}

#[tokio::test]
async fn what_was_read_is_not_missed_when_it_is_deleted_with_the_place() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    for number in 0..2 {
        feeder.publish(number..number + 1).await;
    }
    bench.numbers().applied(2).await;
    analytics.stop().await;
    feeder.publish(2..3).await;
    for sequence in 2..=3 {
        let stream = clicks(&feeder).await;
        stream.delete_message(sequence).await.unwrap();
    }
    // The place is gone and the first message is read again, at each start.
    for _ in 0..2 {
        let analytics = bench.start().await;
        noted(&bench, [3, 3]).await;
        analytics.stop().await;
        assert_eq!(bench.numbers().sequence(), 2);
    }
    let analytics = bench.start().await;
    feeder.publish(3..4).await;
    bench.numbers().reach(feeder.link_id, 3).await;
    noted(&bench, [3, 3]).await;
    assert_eq!(bench.numbers().gaps(), [[2, 2]]);
    analytics.stop().await;
}

#[tokio::test]
async fn messages_that_never_come_are_noted_while_the_stream_is_followed() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let last = feeder.publish(0..5).await;
    bench.numbers().applied(last).await;
    // Behind the end: the stream counts on from there, as if all before had come and gone.
    let purge = clicks(&feeder).await.purge().sequence(8).await;
    purge.unwrap();
    noted(&bench, [2, 7]).await;
    assert_eq!(feeder.publish(5..6).await, 8);
    bench.numbers().reach(feeder.link_id, 6).await;
    noted(&bench, [2, 7]).await;
    analytics.stop().await;
}

/// Waits until these sequences and no others are stored as missed.
async fn noted(bench: &Bench, range: [i64; 2]) {
    let numbers = bench.numbers();
    let sql = "SELECT first_sequence, last_sequence FROM missed";
    eventually(|| async { (numbers.rows(sql) == [range]).then_some(()) }).await;
}
