//! Everything counted again beside what is counted, and taken over.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use analytics::parts::page::{self, Page};
use analytics::parts::{Key, Total};
use chassis::testing::{Running, eventually};
use events::{AccountClosed, streams, subjects};
use reqwest::StatusCode;
use rusqlite::{Connection, TransactionBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::audit::post;
use crate::bench::Bench;

/// Runs the command; all that it said, and its last line.
async fn rebuild(analytics: &Running<analytics::App>, query: &str) -> (String, String) {
    let (status, text) = post(analytics, &format!("/rebuild{query}")).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let last = text.lines().last().unwrap().to_owned();
    (text, last)
}

/// Changes the counters of every link of a running analytics.
fn spoil(bench: &Bench, change: fn(&mut Vec<(Key, u64)>)) {
    let mut database = Connection::open(bench.folder.path().join("clicks.db")).unwrap();
    let patience = std::time::Duration::from_secs(10);
    database.busy_timeout(patience).unwrap();
    let tx = database
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    let pages: Vec<(Uuid, Vec<u8>)> = tx
        .prepare("SELECT link_id, page FROM counter WHERE first = x''")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (link_id, bytes) in pages {
        let mut page = Page::default();
        page.read(&bytes).unwrap();
        change(&mut page.entries);
        let mut bytes = Vec::new();
        page::encode(&page.entries, page.has_more, &mut bytes);
        let sql = "UPDATE counter SET page = ?2 WHERE link_id = ?1 AND first = x''";
        tx.execute(sql, (link_id, bytes)).unwrap();
    }
    tx.commit().unwrap();
}

fn twelve_humans(counters: &mut Vec<(Key, u64)>) {
    for (key, value) in counters {
        if *key == Key::total(Total::Humans) {
            *value = 12;
        }
    }
}

/// Deletes the beginning of the stream, as the retention does after a month.
async fn forget_before(bench: &Bench, sequence: u64) {
    let feeder = bench.feeder().await;
    let stream = feeder.jetstream().get_stream(streams::CLICKS.name).await;
    stream.unwrap().purge().sequence(sequence).await.unwrap();
}

#[tokio::test]
async fn what_is_right_stays_as_it_is() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    feeder.publish(0..400).await;
    feeder.publish_bytes(b"no batch".to_vec()).await;
    let last = feeder.publish(500..900).await;
    bench.numbers().applied(last).await;
    let (text, last) = rebuild(&analytics, "").await;
    assert_eq!(last, "nothing to take over: both are equal", "{text}");
    assert!(text.contains("800 clicks counted again"), "{text}");
    assert!(text.contains("1 messages can't be read"), "{text}");
    assert_eq!(bench.numbers().gaps(), [[400, 499]]);
    assert!(!bench.folder.path().join("clicks.db.rebuild").exists());
    analytics.stop().await;
}

#[tokio::test]
async fn wrong_numbers_are_shown_and_taken_over_when_accepted() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let last = feeder.publish(0..9).await;
    bench.numbers().applied(last).await;
    spoil(&bench, |counters| {
        twelve_humans(counters);
        // The last one is a visitor.
        counters.pop();
    });

    let (text, last) = rebuild(&analytics, "").await;
    assert!(last.starts_with("error: the numbers differ"), "{text}");
    assert!(
        text.contains("/abc: 12 clicks (0 of bots) become 9 (0 of bots)"),
        "{text}"
    );
    assert!(text.contains("1 rows of visitor differ"), "{text}");
    assert_eq!(bench.numbers().humans(feeder.link_id), Some(12));

    let (text, last) = rebuild(&analytics, "?accept=true").await;
    assert_eq!(last, "taken over", "{text}");
    assert_eq!(bench.numbers().humans(feeder.link_id), Some(9));
    let (text, last) = rebuild(&analytics, "").await;
    assert_eq!(last, "nothing to take over: both are equal", "{text}");
    // Counting goes on where it was.
    feeder.publish(7..11).await;
    bench.numbers().reach(feeder.link_id, 11).await;
    analytics.stop().await;
}

#[tokio::test]
async fn a_stream_without_its_beginning_needs_a_backup_that_joins_it() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    feeder.publish(0..3).await;
    let joins = feeder.publish(3..5).await;
    bench.numbers().applied(joins).await;
    let (status, path) = post(&analytics, "/backup/clicks").await;
    assert_eq!(status, StatusCode::OK, "{path}");
    let last = feeder.publish(5..9).await;
    bench.numbers().applied(last).await;
    forget_before(&bench, joins).await;
    spoil(&bench, twelve_humans);

    let (text, said) = rebuild(&analytics, "?accept=true").await;
    assert!(
        text.contains(&format!("from the backup {}", path.trim())),
        "{text}"
    );
    assert!(text.contains("4 clicks counted again"), "{text}");
    assert_eq!(said, "taken over");
    assert_eq!(bench.numbers().humans(feeder.link_id), Some(9));

    // The oldest that joins goes back farthest; the newest is quickest.
    // Two of one second would have one name.
    let newer = eventually(|| async {
        let (status, path) = post(&analytics, "/backup/clicks").await;
        (status == StatusCode::OK).then_some(path)
    })
    .await;
    for (query, expected) in [("", path.trim()), ("?newest=true", newer.trim())] {
        let (text, said) = rebuild(&analytics, query).await;
        assert!(
            text.contains(&format!("from the backup {expected}")),
            "{text}"
        );
        assert_eq!(said, "nothing to take over: both are equal", "{text}");
    }
    // One that knows more than what is counted is from another life of the database.
    let position = "UPDATE position SET sequence = sequence + 1";
    let ahead = Connection::open(newer.trim()).unwrap();
    ahead.execute_batch(position).unwrap();
    drop(ahead);
    let (text, _) = rebuild(&analytics, "?newest=true").await;
    let older = format!("from the backup {}", path.trim());
    assert!(text.contains(&older), "{text}");
    std::fs::remove_file(newer.trim()).unwrap();

    forget_before(&bench, last).await;
    let (text, _) = rebuild(&analytics, "").await;
    assert!(
        text.contains("error: refused: the stream begins with message 3"),
        "{text}"
    );
    assert!(
        text.contains("ends with message 2, which the stream does not hold"),
        "{text}"
    );
    // Of another stream, however far it had read that one.
    let other = Connection::open(path.trim()).unwrap();
    let position = "UPDATE position SET epoch = 'another', sequence = 99";
    other.execute_batch(position).unwrap();
    drop(other);
    let (text, _) = rebuild(&analytics, "").await;
    assert!(
        text.contains("ends with message 99, which the stream does not hold"),
        "{text}"
    );
    std::fs::remove_file(path.trim()).unwrap();
    let (text, _) = rebuild(&analytics, "").await;
    assert!(text.contains("there is none in"), "{text}");
    assert_eq!(bench.numbers().humans(feeder.link_id), Some(9));
    analytics.stop().await;
}

#[tokio::test]
async fn clicks_that_can_not_be_counted_again_are_never_given_up() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    feeder.publish(0..3).await;
    let middle = feeder.publish(3..5).await;
    let last = feeder.publish(5..9).await;
    bench.numbers().applied(last).await;
    let stream = feeder.jetstream().get_stream(streams::CLICKS.name).await;
    stream.unwrap().delete_message(middle).await.unwrap();
    let (text, last) = rebuild(&analytics, "?accept=true").await;
    assert!(
        last.starts_with("error: refused: 2 clicks that are counted now"),
        "{text}"
    );
    assert_eq!(bench.numbers().humans(feeder.link_id), Some(9));
    assert!(bench.numbers().gaps().is_empty());
    analytics.stop().await;
}

#[tokio::test]
async fn clicks_are_counted_while_a_rebuild_is_at_work() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let feeder = bench.feeder().await;
    let last = feeder.publish(0..500).await;
    bench.numbers().applied(last).await;
    let stop = CancellationToken::new();
    let publish = async {
        let mut next = 500;
        while !stop.is_cancelled() {
            let last = feeder.publish(next..next + 20).await;
            next += 20;
            // No faster than it is counted: a rebuild has to catch up some time.
            bench.numbers().applied(last).await;
        }
        next
    };
    let rebuilds = async {
        for _ in 0..5 {
            let (text, last) = rebuild(&analytics, "").await;
            assert_eq!(last, "nothing to take over: both are equal", "{text}");
        }
        spoil(&bench, twelve_humans);
        let (text, last) = rebuild(&analytics, "?accept=true").await;
        assert_eq!(last, "taken over", "{text}");
        stop.cancel();
    };
    let (published, ()) = tokio::join!(publish, rebuilds);
    bench
        .numbers()
        .reach(feeder.link_id, published.cast_signed())
        .await;
    let (text, last) = rebuild(&analytics, "").await;
    assert_eq!(last, "nothing to take over: both are equal", "{text}");
    analytics.stop().await;
}

#[tokio::test]
async fn a_closed_account_does_not_come_back() {
    let bench = Bench::new().await;
    let analytics = bench.start().await;
    let (kept, closed) = (bench.feeder().await, bench.feeder().await);
    kept.publish(0..3).await;
    let last = closed.publish(0..4).await;
    bench.numbers().applied(last).await;
    let account = AccountClosed {
        user_id: closed.owner_id,
        at_ms: 0,
    };
    let jetstream = closed.jetstream();
    let config = async_nats::jetstream::stream::Config {
        name: streams::ACCOUNTS.name.to_owned(),
        subjects: vec![subjects::ACCOUNTS_CLOSED.to_owned()],
        ..Default::default()
    };
    jetstream.create_stream(config).await.unwrap();
    let subject = subjects::account_closed(closed.owner_id);
    let sent = jetstream.publish(subject, account.encode().into()).await;
    sent.unwrap().await.unwrap();
    let erased = "SELECT count(*) FROM closed_account WHERE erased = 1";
    let numbers = bench.numbers();
    eventually(|| async { (numbers.number(erased, []) == Some(1)).then_some(()) }).await;

    spoil(&bench, twelve_humans);
    let (text, last) = rebuild(&analytics, "?accept=true").await;
    assert_eq!(last, "taken over", "{text}");
    assert_eq!(numbers.humans(kept.link_id), Some(3));
    assert_eq!(numbers.humans(closed.link_id), None);
    assert_eq!(numbers.number("SELECT count(*) FROM visitor", []), Some(3));
    analytics.stop().await;
}

#[tokio::test]
async fn what_a_rebuild_left_that_died_is_cleaned_up() {
    let bench = Bench::new().await;
    let left = bench.folder.path().join("clicks.db.rebuild");
    std::fs::write(&left, "half of a database").unwrap();
    let analytics = bench.start().await;
    assert!(!left.exists());
    let (text, last) = rebuild(&analytics, "").await;
    assert!(last.starts_with("error: nothing was counted yet"), "{text}");
    analytics.stop().await;
}
