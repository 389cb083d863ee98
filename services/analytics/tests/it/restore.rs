//! A database that comes back from an older copy.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use chassis::testing::Folder;
use events::streams;
use rusqlite::Connection;

use crate::bench::Bench;

/// A copy of the database as it is now, in a folder of its own.
pub fn backup(bench: &Bench) -> Folder {
    let folder = Folder::new();
    let copy = folder.path().join("clicks.db");
    let database = Connection::open(bench.folder.path().join("clicks.db")).unwrap();
    database
        .execute("VACUUM INTO ?", [copy.to_str().unwrap()])
        .unwrap();
    folder
}

#[tokio::test]
async fn an_older_copy_catches_up_from_the_stream() {
    let bench = Bench::new().await;
    let feeder = bench.feeder().await;
    let analytics = bench.start().await;
    feeder.publish(0..5).await;
    bench.numbers().reach(feeder.link_id, 5).await;
    let older = backup(&bench);
    feeder.publish(5..9).await;
    bench.numbers().reach(feeder.link_id, 9).await;
    analytics.stop().await;

    let bench = Bench {
        folder: older,
        ..bench
    };
    let numbers = bench.numbers();
    assert_eq!(numbers.humans(feeder.link_id), Some(5));
    let analytics = bench.start().await;
    numbers.reach(feeder.link_id, 9).await;
    assert!(numbers.gaps().is_empty());
    analytics.stop().await;
}

#[tokio::test]
async fn without_a_database_everything_is_counted_again_once() {
    let bench = Bench::new().await;
    let feeder = bench.feeder().await;
    let analytics = bench.start().await;
    feeder.publish(0..5).await;
    feeder.publish(3..9).await;
    bench.numbers().reach(feeder.link_id, 9).await;
    analytics.stop().await;

    let bench = Bench {
        folder: Folder::new(),
        ..bench
    };
    let analytics = bench.start().await;
    bench.numbers().reach(feeder.link_id, 9).await;
    analytics.stop().await;
}

#[tokio::test]
async fn an_older_copy_beside_a_stream_made_anew_counts_each_click_once() {
    let bench = Bench::new().await;
    let feeder = bench.feeder().await;
    let analytics = bench.start().await;
    feeder.publish(0..5).await;
    bench.numbers().reach(feeder.link_id, 5).await;
    let older = backup(&bench);
    feeder.publish(5..7).await;
    bench.numbers().reach(feeder.link_id, 7).await;
    feeder
        .jetstream()
        .delete_stream(streams::CLICKS.name)
        .await
        .unwrap();
    feeder.publish(6..9).await;
    bench.numbers().reach(feeder.link_id, 9).await;
    analytics.stop().await;

    // Number 5 is in neither the copy nor the new stream: a gap, not a silence.
    let bench = Bench {
        folder: older,
        ..bench
    };
    let analytics = bench.start().await;
    bench.numbers().reach(feeder.link_id, 8).await;
    assert_eq!(bench.numbers().gaps(), [[5, 5]]);
    analytics.stop().await;
}
