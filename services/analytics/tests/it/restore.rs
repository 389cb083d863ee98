//! A database that comes back from an older copy.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use std::path::Path;

use chassis::testing::eventually;
use events::streams;

use crate::bench::Bench;

/// Copies the database of an analytics that has stopped; an empty folder is a lost database.
async fn copy(from: &Path, to: &Path) {
    // The last connection to be closed takes the log with it.
    let log = || {
        [from, to]
            .iter()
            .any(|folder| folder.join("clicks.db-wal").exists())
    };
    eventually(|| async { (!log()).then_some(()) }).await;
    let (from, to) = (from.join("clicks.db"), to.join("clicks.db"));
    if from.exists() {
        std::fs::copy(from, to).unwrap();
    } else {
        std::fs::remove_file(to).unwrap();
    }
}

#[tokio::test]
async fn an_older_copy_catches_up_from_the_stream() {
    let bench = Bench::new().await;
    let backup = chassis::testing::Folder::new();
    let feeder = bench.feeder().await;
    let numbers = bench.numbers();

    let analytics = bench.start().await;
    feeder.publish(0..5).await;
    numbers.reach(feeder.link_id, 5).await;
    analytics.stop().await;
    copy(bench.folder.path(), backup.path()).await;

    let analytics = bench.start().await;
    feeder.publish(5..9).await;
    numbers.reach(feeder.link_id, 9).await;
    analytics.stop().await;

    copy(backup.path(), bench.folder.path()).await;
    assert_eq!(numbers.humans(feeder.link_id), Some(5));
    let analytics = bench.start().await;
    numbers.reach(feeder.link_id, 9).await;
    assert!(numbers.gaps().is_empty());
    analytics.stop().await;
}

#[tokio::test]
async fn without_a_database_everything_is_counted_again_once() {
    let bench = Bench::new().await;
    let empty = chassis::testing::Folder::new();
    let feeder = bench.feeder().await;
    let numbers = bench.numbers();
    let analytics = bench.start().await;
    feeder.publish(0..5).await;
    feeder.publish(3..9).await;
    numbers.reach(feeder.link_id, 9).await;
    analytics.stop().await;

    copy(empty.path(), bench.folder.path()).await;
    let analytics = bench.start().await;
    numbers.reach(feeder.link_id, 9).await;
    analytics.stop().await;
}

#[tokio::test]
async fn an_older_copy_beside_a_stream_made_anew_counts_each_click_once() {
    let bench = Bench::new().await;
    let backup = chassis::testing::Folder::new();
    let feeder = bench.feeder().await;
    let numbers = bench.numbers();

    let analytics = bench.start().await;
    feeder.publish(0..5).await;
    numbers.reach(feeder.link_id, 5).await;
    analytics.stop().await;
    copy(bench.folder.path(), backup.path()).await;

    let analytics = bench.start().await;
    feeder.publish(5..7).await;
    numbers.reach(feeder.link_id, 7).await;
    feeder
        .jetstream()
        .delete_stream(streams::CLICKS.name)
        .await
        .unwrap();
    feeder.publish(6..9).await;
    numbers.reach(feeder.link_id, 9).await;
    analytics.stop().await;

    // Number 5 is in neither the copy nor the new stream: a gap, not a silence.
    copy(backup.path(), bench.folder.path()).await;
    let analytics = bench.start().await;
    numbers.reach(feeder.link_id, 8).await;
    assert_eq!(numbers.gaps(), [[5, 5]]);
    analytics.stop().await;
}
