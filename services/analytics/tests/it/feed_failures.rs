//! What happens to the feed when something dies, disappears, or comes back from a backup.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use async_nats::jetstream;
use chassis::testing::{Folder, eventually};
use events::{Partition, streams, subjects};

use crate::bench::{Bench, copy_folder};
use crate::feed::{FeedBench, expected, ids};
use crate::feeder::Feeder;
use crate::ingest_kill::spawn;
use crate::restore::backup;

/// Clicks of one message.
const CLICKS: u64 = 50;
/// Messages, each sent twice.
const MESSAGES: u64 = 60;
/// How often the program is killed.
const KILLS: u64 = 10;
/// How often NATS is restarted meanwhile.
const RESTARTS: u64 = 2;

/// Whether it is the time for the next of `times` events that are spread over the messages.
fn is_due(message: u64, times: u64) -> bool {
    let every = MESSAGES / times;
    message % every == every / 2
}

/// A feed that is on, and the first clicks in it.
async fn with_clicks(feeds: &FeedBench, clicks: u64) -> Feeder {
    let analytics = feeds.start().await;
    let feeder = feeds.bench.feeder().await;
    feeds.switch(&analytics, &feeder, true).await;
    feeds.published(feeder.publish(0..clicks).await).await;
    analytics.stop().await;
    feeder
}

#[tokio::test]
async fn killed_again_and_again_the_feed_holds_what_was_counted() {
    let mut feeds = FeedBench::new().await;
    let feeder = with_clicks(&feeds, 1).await;
    let numbers = feeds.bench.numbers();
    let mut program = spawn(&feeds.bench);
    let mut last = 0;
    for message in 0..MESSAGES {
        let first = 1 + message * CLICKS;
        for _ in 0..2 {
            last = feeder.publish(first..first + CLICKS).await;
        }
        if is_due(message, RESTARTS) {
            feeds.bench.nats.restart().await;
        }
        if is_due(message, KILLS) {
            // Once it is at work: it has counted what the one before it had not.
            let counted = numbers.sequence();
            eventually(|| async { (numbers.sequence() > counted).then_some(()) }).await;
            program.kill().unwrap();
            program.wait().unwrap();
            program = spawn(&feeds.bench);
        }
    }
    feeds.published(last).await;
    program.kill().unwrap();
    program.wait().unwrap();
    let all = 1 + MESSAGES * CLICKS;
    assert_eq!(
        numbers.humans(feeder.link_id),
        Some(i64::try_from(all).unwrap())
    );
    assert_eq!(ids(feeder.jetstream()).await, expected(&feeder, 0..all));
}

/// Makes FEED refuse every message, or none.
async fn refuse(feeder: &Feeder, all: bool) {
    let jetstream = feeder.jetstream();
    let stream = jetstream.get_stream(streams::FEED.name).await.unwrap();
    let config = jetstream::stream::Config {
        max_message_size: if all { 1 } else { -1 },
        ..stream.cached_info().config.clone()
    };
    jetstream.update_stream(config).await.unwrap();
}

#[tokio::test]
async fn what_the_stream_stored_and_nobody_noted_is_not_published_again() {
    let feeds = FeedBench::new().await;
    let feeder = with_clicks(&feeds, 2).await;
    let numbers = feeds.bench.numbers();
    refuse(&feeder, true).await;
    let analytics = feeds.start().await;
    let last = feeder.publish(2..2_500).await;
    numbers.applied(last).await;
    let waiting = "SELECT count(*) FROM feed_outbox";
    assert_eq!(numbers.number(waiting, []), Some(2_498));
    // The database as a kill leaves it that comes before the first confirmation.
    let killed = backup(&feeds.bench);
    refuse(&feeder, false).await;
    feeds.published(last).await;
    analytics.stop().await;

    let feeds = FeedBench {
        bench: Bench {
            folder: killed,
            ..feeds.bench
        },
        ..feeds
    };
    let numbers = feeds.bench.numbers();
    assert_eq!(numbers.number(waiting, []), Some(2_498));
    let analytics = feeds.start().await;
    feeds.published(last).await;
    feeds.published(feeder.publish(2_500..2_501).await).await;
    assert_eq!(ids(feeder.jetstream()).await, expected(&feeder, 0..2_501));
    analytics.stop().await;
}

#[tokio::test]
async fn made_anew_the_feed_goes_on_without_what_it_lost() {
    let feeds = FeedBench::new().await;
    let feeder = with_clicks(&feeds, 5).await;
    let analytics = feeds.start().await;
    feeds.published(feeder.publish(5..8).await).await;
    let jetstream = feeder.jetstream();
    jetstream.delete_stream(streams::FEED.name).await.unwrap();
    feeds.published(feeder.publish(8..11).await).await;
    assert_eq!(ids(jetstream).await, expected(&feeder, 8..11));
    analytics.stop().await;
    // The same while nobody looks.
    jetstream.delete_stream(streams::FEED.name).await.unwrap();
    let last = feeder.publish(11..13).await;
    let analytics = feeds.start().await;
    feeds.published(last).await;
    assert_eq!(ids(jetstream).await, expected(&feeder, 11..13));
    analytics.stop().await;
}

#[tokio::test]
async fn restored_the_feed_goes_on_behind_its_end() {
    let mut feeds = FeedBench::new().await;
    let feeder = with_clicks(&feeds, 5).await;
    let (store, older) = (feeds.bench.nats.store(), Folder::new());
    feeds.bench.nats.stop().await;
    copy_folder(&store, older.path());
    feeds.bench.nats.restart().await;
    let analytics = feeds.start().await;
    feeds.published(feeder.publish(5..8).await).await;
    assert_eq!(ids(feeder.jetstream()).await, expected(&feeder, 0..8));
    analytics.stop().await;

    feeds.bench.nats.stop().await;
    std::fs::remove_dir_all(&store).unwrap();
    copy_folder(older.path(), &store);
    feeds.bench.nats.restart().await;
    let last = feeder.publish(8..10).await;
    let analytics = feeds.start().await;
    feeds.bench.numbers().reach(feeder.link_id, 10).await;
    feeds.published(last).await;
    assert_eq!(
        ids(feeder.jetstream()).await,
        expected(&feeder, (0..5).chain(8..10))
    );
    analytics.stop().await;
}

#[tokio::test]
async fn purged_the_feed_goes_on_without_what_it_lost() {
    let feeds = FeedBench::new().await;
    let feeder = with_clicks(&feeds, 5).await;
    let analytics = feeds.start().await;
    let purge = || async {
        let stream = feeder.jetstream().get_stream(streams::FEED.name).await;
        stream.unwrap().purge().await.unwrap();
    };
    purge().await;
    feeds.published(feeder.publish(5..7).await).await;
    assert_eq!(ids(feeder.jetstream()).await, expected(&feeder, 5..7));
    analytics.stop().await;
    purge().await;
    let last = feeder.publish(7..9).await;
    let analytics = feeds.start().await;
    feeds.published(last).await;
    assert_eq!(ids(feeder.jetstream()).await, expected(&feeder, 7..9));
    analytics.stop().await;
}

#[tokio::test]
async fn an_older_database_publishes_nothing_again_and_goes_on() {
    let feeds = FeedBench::new().await;
    let feeder = with_clicks(&feeds, 5).await;
    let older = backup(&feeds.bench);
    let analytics = feeds.start().await;
    for number in 5..60 {
        feeder.publish(number..number + 1).await;
    }
    feeds.published(feeder.publish(60..90).await).await;
    analytics.stop().await;
    let last = feeder.publish(90..95).await;

    let feeds = FeedBench {
        bench: Bench {
            folder: older,
            ..feeds.bench
        },
        ..feeds
    };
    let numbers = feeds.bench.numbers();
    assert_eq!(numbers.humans(feeder.link_id), Some(5));
    let analytics = feeds.start().await;
    feeds.published(last).await;
    feeds.published(feeder.publish(95..99).await).await;
    assert_eq!(numbers.humans(feeder.link_id), Some(99));
    assert_eq!(ids(feeder.jetstream()).await, expected(&feeder, 0..99));
    analytics.stop().await;
}

#[tokio::test]
async fn a_rebuild_from_nothing_publishes_nothing_again() {
    let feeds = FeedBench::new().await;
    let feeder = with_clicks(&feeds, 9).await;
    // Turned on before the first click is counted again.
    let feeds = FeedBench {
        bench: Bench {
            folder: Folder::new(),
            ..feeds.bench
        },
        ..feeds
    };
    let analytics = feeds.start().await;
    feeds.switch(&analytics, &feeder, true).await;
    analytics.stop().await;
    let database = rusqlite::Connection::open(feeds.bench.config().database.path).unwrap();
    database
        .execute_batch(
            "DELETE FROM position; DELETE FROM spool; DELETE FROM counter; DELETE FROM account;",
        )
        .unwrap();
    drop(database);
    let last = feeder.publish(9..12).await;
    let analytics = feeds.start().await;
    feeds.published(last).await;
    assert_eq!(ids(feeder.jetstream()).await, expected(&feeder, 0..12));
    analytics.stop().await;
}

#[tokio::test]
async fn a_stranger_in_the_stream_costs_nobody_a_click() {
    let feeds = FeedBench::new().await;
    let feeder = with_clicks(&feeds, 3).await;
    let analytics = feeds.start().await;
    let stranger = || async {
        let subject = subjects::feed(Partition::WHOLE, feeder.owner_id, "abc");
        let sent = feeder.jetstream().publish(subject, "{}".into()).await;
        sent.unwrap().await.unwrap();
    };
    stranger().await;
    stranger().await;
    feeds.published(feeder.publish(3..5).await).await;
    analytics.stop().await;
    stranger().await;
    let last = feeder.publish(5..7).await;
    let analytics = feeds.start().await;
    feeds.published(last).await;
    analytics.stop().await;
    let stream = feeder.jetstream().get_stream(streams::FEED.name).await;
    let stream = stream.unwrap();
    for foreign in [4, 5, 8] {
        assert!(stream.delete_message(foreign).await.unwrap());
    }
    assert_eq!(ids(feeder.jetstream()).await, expected(&feeder, 0..7));
}
