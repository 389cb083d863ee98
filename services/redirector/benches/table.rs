//! The link table with a million links: a look-up of one that is there, and of one that is not.

use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::ItemsCount;
use events::{LinkRecord, LinkState};
use redirector::parts::Table;
use uuid::Uuid;

const LINKS: u32 = 1_000_000;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let table = Table::default();
    for number in 0..LINKS {
        table.put(&record(number));
    }
    table
});

fn main() {
    divan::main();
}

fn record(number: u32) -> LinkRecord {
    LinkRecord {
        link_id: Uuid::from_u128(number.into()),
        owner_id: Uuid::from_u128(1),
        code: format!("c{number}"),
        url: format!("https://example.org/a/path/of/some/length/to/page/{number:010}"),
        version: 1,
        state: LinkState::Active,
        valid_from_ms: None,
        valid_until_ms: None,
        max_clicks: None,
        fallback_url: None,
        redirect_status: 302,
    }
}

/// Numbers below `LINKS` in an order that no cache foresees: the step is no small part of it and
/// has no factor in common with it, so every number has its turn.
fn wander() -> impl Iterator<Item = u32> {
    std::iter::successors(Some(0), |last| Some((last + 618_033) % LINKS))
}

#[divan::bench]
fn hit(bencher: Bencher) {
    let (mut numbers, mut found) = (wander(), Vec::new());
    LazyLock::force(&TABLE);
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| format!("c{}", numbers.next().expect("it does not end")))
        .bench_local_refs(|code| assert!(TABLE.find(code, &mut found)));
}

#[divan::bench]
fn miss(bencher: Bencher) {
    let (mut numbers, mut found) = (wander(), Vec::new());
    LazyLock::force(&TABLE);
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| format!("d{}", numbers.next().expect("it does not end")))
        .bench_local_refs(|code| assert!(!TABLE.find(code, &mut found)));
}

#[divan::bench]
fn change(bencher: Bencher) {
    let mut numbers = wander();
    LazyLock::force(&TABLE);
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| record(numbers.next().expect("it does not end")))
        .bench_local_refs(|record| TABLE.put(record));
}
