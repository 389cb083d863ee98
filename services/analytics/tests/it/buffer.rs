//! Many links with few clicks each: their clicks wait in the buffer, and are counted all the same.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use chassis::testing::{Running, eventually};
use events::streams;
use reqwest::StatusCode;
use uuid::Uuid;

use crate::accounts::close;
use crate::audit::post;
use crate::bench::Bench;
use crate::feeder::click;
use crate::numbers::Numbers;

/// More than a set that is small.
const LINKS: u64 = 9_000;
const BATCH: u64 = 1_000;

/// Starts analytics on clicks of as many links, every second one of the first of two accounts; waits
/// until they are counted.
async fn counted(bench: &Bench) -> (Running<analytics::App>, [Uuid; 2]) {
    let feeder = bench.feeder().await;
    let analytics = bench.start().await;
    eventually(|| async {
        feeder
            .jetstream()
            .get_stream(streams::CLICKS.name)
            .await
            .ok()
    })
    .await;
    analytics.stop().await;
    let owners = [feeder.owner_id, Uuid::now_v7()];
    let mut last = 0;
    for first in (0..LINKS).step_by(usize::try_from(BATCH).unwrap()) {
        let clicks = (first..first + BATCH).map(|number| {
            let owner = owners[usize::try_from(number % 2).unwrap()];
            click(link(number), owner, number)
        });
        last = feeder.publish_clicks(first, clicks.collect()).await;
    }
    let analytics = bench.start().await;
    bench.numbers().applied(last).await;
    (analytics, owners)
}

fn link(number: u64) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(number) << 40)
}

fn waiting(numbers: &Numbers) -> i64 {
    numbers
        .number("SELECT coalesce(sum(visits), 0) FROM buffer_range", [])
        .unwrap()
}

fn humans(numbers: &Numbers, owner: Uuid) -> Option<i64> {
    numbers.number("SELECT humans FROM account WHERE owner_id = ?", [owner])
}

#[tokio::test]
async fn what_waits_is_counted_at_once_and_survives_a_restart() {
    let bench = Bench::new().await;
    let (analytics, owners) = counted(&bench).await;
    let numbers = bench.numbers();
    let expected = i64::try_from(LINKS).unwrap();
    assert_eq!(waiting(&numbers), expected);
    assert_eq!(
        owners.map(|owner| humans(&numbers, owner)),
        [Some(expected / 2); 2]
    );
    analytics.stop().await;

    // As if the link table had told of one.
    let database = bench.folder.path().join("clicks.db");
    let known = (link(7), owners[1]);
    rusqlite::Connection::open(database)
        .unwrap()
        .execute(
            "INSERT INTO link (link_id, owner_id, code) VALUES (?, ?, 'abc')",
            known,
        )
        .unwrap();
    assert_eq!(
        numbers.humans(link(7)),
        Some(1),
        "it is counted where it waits"
    );

    let analytics = bench.start().await;
    assert_eq!(waiting(&numbers), expected);
    // Brings them to the pages, to compare those.
    let (status, text) = post(&analytics, "/rebuild").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(
        text.ends_with("nothing to take over: both are equal\n"),
        "{text}"
    );
    assert_eq!(waiting(&numbers), 0);
    let sums = numbers.rows("SELECT count(*), sum(humans), sum(visitors), min(visitors) FROM sums");
    assert_eq!(sums, [[expected, expected, expected, 1]]);
    assert_eq!(
        owners.map(|owner| humans(&numbers, owner)),
        [Some(expected / 2); 2]
    );
    analytics.stop().await;
}

#[tokio::test]
async fn what_waits_of_a_closed_account_is_erased() {
    let bench = Bench::new().await;
    let (analytics, [closed, other]) = counted(&bench).await;
    let numbers = bench.numbers();
    close(&bench.nats.url(), closed).await;
    eventually(|| async {
        let erased = numbers.number("SELECT count(*) FROM closed_account WHERE erased = 1", []);
        (erased == Some(1)).then_some(())
    })
    .await;
    let expected = i64::try_from(LINKS).unwrap() / 2;
    assert_eq!(humans(&numbers, closed), None);
    assert_eq!(humans(&numbers, other), Some(expected));
    assert_eq!(waiting(&numbers), 0, "they shared rows");
    let sums = numbers.rows("SELECT count(*), sum(humans) FROM sums");
    assert_eq!(sums, [[expected, expected]]);
    analytics.stop().await;
}
