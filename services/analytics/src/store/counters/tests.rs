use std::collections::BTreeMap;

use std::sync::Arc;

use events::{Click, Hints};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rusqlite::Connection;

use super::*;
use crate::rules::{Agent, Class, Kind};
use crate::store::testing::database;

const LINK: Uuid = Uuid::from_u128(7);

fn all(database: &Connection, link_id: Uuid) -> BTreeMap<Key, u64> {
    let mut all = BTreeMap::new();
    let (_, behind) = Key::all_of(kind::VISITOR);
    each(database, link_id, Key::FIRST, behind, |key, value| {
        assert!(all.insert(key, value).is_none(), "{key:?} comes twice");
    })
    .unwrap();
    all
}

fn keys() -> impl Strategy<Value = Vec<Key>> {
    let key = prop_oneof![
        Just(Key::total(Total::Humans)),
        (1_i64..400).prop_map(|label| Key::breakdown(1, label)),
        (0_i64..60).prop_map(|at| Key::bucket(1_900_000 + at, Sort::Human)),
        (0_i64..3).prop_map(|day| Key::day(20_000 + day)),
        (0_i64..3, any::<u64>()).prop_map(|(day, hash)| Key::visitor(20_000 + day, hash)),
    ];
    prop::collection::vec(key, 1..250)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However many pages a link needs, in whatever order its counters come.
    #[test]
    fn pages_hold_what_a_map_would(sets in prop::collection::vec(keys(), 1..12)) {
        let database = database();
        let mut expected = BTreeMap::new();
        for (at, keys) in sets.into_iter().enumerate() {
            let mut pages = Pages::new(&database).unwrap();
            let mut pages = pages.of_link(LINK);
            for key in keys {
                let is_new = !expected.contains_key(&key);
                // A visitor is there or not.
                let more = if key.kind() == kind::VISITOR { 0 } else { 3 };
                *expected.entry(key).or_insert(u64::from(more == 0)) += more;
                prop_assert_eq!(pages.add(key, more)?, is_new);
            }
            prop_assert_eq!(pages.save().unwrap(), at == 0);
            prop_assert_eq!(&all(&database, LINK), &expected);
        }
        // Another link has nothing of it.
        prop_assert!(all(&database, Uuid::from_u128(8)).is_empty());
        let longest: i64 = database
            .query_row("SELECT max(length(page)) FROM counter", [], |row| row.get(0))
            .unwrap();
        prop_assert!(longest <= 900, "{longest}");

        // Each part of it can be read alone.
        for (from, to) in [
            Key::all_of(kind::BREAKDOWN + 1),
            Key::all_of(kind::VISITOR),
            (Key::day(20_001), Key::visitor(20_001, u64::MAX / 2)),
        ] {
            let mut found = Vec::new();
            each(&database, LINK, from, to, |key, value| found.push((key, value))).unwrap();
            let expected: Vec<_> = expected.range(from..to).map(|(k, v)| (*k, *v)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

/// Everything waits that may, and not for long.
const NARROW: Limits = Limits {
    large: 3,
    dense: 4,
    row: 4,
    divided: 8,
    in_range: 12,
    waiting: 40,
};

/// Nothing waits.
const NO_BUFFER: Limits = Limits {
    large: usize::MAX,
    ..NARROW
};

const OWNERS: [Uuid; 2] = [Uuid::from_u128(1), Uuid::from_u128(2)];

/// A link of few or of many, by chance; at one of some times, by one of some visitors.
fn click() -> impl Strategy<Value = Counted> {
    let link = prop_oneof![0_u128..4, 0_u128..60];
    let kind = prop::sample::select(Kind::ALL.to_vec());
    (link, kind, 0_i64..3, 0_i64..3, 0_u64..4, 0_u32..3).prop_map(
        |(link, kind, day, quarter, visitor, text)| {
            let at_ms = (20_000 + day) * DAY_MS + quarter * BUCKET_MS + 7;
            let click = Click {
                link_id: Uuid::from_u128(link << 100 | 7),
                owner_id: OWNERS[usize::from(link % 3 == 0)],
                code: format!("code{link}").into(),
                at_ms,
                hints: Hints::NONE,
                referrer: format!("{text}.example").into(),
                user_agent: "".into(),
                language: "de".into(),
                country: (text == 1).then(|| "CH".into()),
                visitor,
            };
            let agent = Agent {
                class: Class::Browser,
                browser: format!("browser {text}").into(),
                os: "".into(),
                device: "phone",
            };
            Counted {
                click,
                kind,
                agent: Arc::new(agent),
            }
        },
    )
}

fn taken_down<'a>(database: &'a Connection, clicks: &'a [Counted]) -> Visits<'a> {
    let mut visits = Visits::with_room(database, clicks.len());
    for counted in clicks {
        visits.take_down(counted).unwrap();
    }
    visits
}

fn links(database: &Connection) -> Vec<(Uuid, Uuid, String)> {
    let mut links = database
        .prepare("SELECT link_id, owner_id, code FROM link ORDER BY link_id")
        .unwrap();
    let links = links.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    links.unwrap().map(Result::unwrap).collect()
}

fn rows(database: &Connection) -> i64 {
    database
        .query_row("SELECT count(*) FROM buffer", [], |row| row.get(0))
        .unwrap()
}

/// Whatever waits in one of two databases that counted the same: what they say of a link is the same.
fn assert_same(buffered: &Connection, direct: &Connection) {
    for (link_id, ..) in links(direct) {
        assert_eq!(all(buffered, link_id), all(direct, link_id), "{link_id}");
        let of = |database| totals(database, link_id).unwrap();
        assert_eq!(of(buffered), of(direct), "{link_id}");
        let (from, to) = (Key::bucket(20_001 * 96, Sort::Human), Key::day(20_002));
        let part = |database| {
            let mut part = Vec::new();
            each(database, link_id, from, to, |key, value| {
                part.push((key, value));
            })
            .unwrap();
            part
        };
        assert_eq!(part(buffered), part(direct), "{link_id}");
    }
}

fn accounts(database: &Connection) -> [Totals; 2] {
    OWNERS.map(|owner| account_totals::get(database, owner).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// At every moment, and whenever what waits is brought to the pages.
    #[test]
    fn what_waits_counts_as_what_does_not(
        sets in prop::collection::vec((prop::collection::vec(click(), 1..80), 0_u64..60), 1..8),
    ) {
        let (buffered, direct) = (database(), database());
        let mut turns = Turns::without_rest();
        for (clicks, settled) in sets {
            let none = add_within(NO_BUFFER, &direct, taken_down(&direct, &clicks), &mut turns).unwrap();
            prop_assert_eq!(none, None);
            let waiting = add_within(NARROW, &buffered, taken_down(&buffered, &clicks), &mut turns).unwrap();
            prop_assert_eq!(waiting.is_some(), clicks.len() >= NARROW.large);
            prop_assert!(waiting.unwrap_or(0) <= NARROW.waiting);
            assert_same(&buffered, &direct);
            for (now, expected) in accounts(&buffered).into_iter().zip(accounts(&direct)) {
                prop_assert!(now.visitors <= expected.visitors);
                prop_assert_eq!(Totals { visitors: expected.visitors, ..now }, expected);
            }
            let left = settle(&buffered, settled, &mut turns).unwrap();
            prop_assert!(left <= waiting.unwrap_or(NARROW.waiting).saturating_sub(settled));
            assert_same(&buffered, &direct);
        }
        // Of one account, and then of all.
        while settle_account(&buffered, OWNERS[0], 2).unwrap() {}
        prop_assert_eq!(accounts(&buffered)[0], accounts(&direct)[0]);
        prop_assert!(buffer::ranges_of_account(&buffered, OWNERS[0], 1).unwrap().is_empty());
        assert_same(&buffered, &direct);
        prop_assert_eq!(settle(&buffered, u64::MAX, &mut turns).unwrap(), 0);
        prop_assert_eq!(rows(&buffered), 0);
        prop_assert_eq!(accounts(&buffered), accounts(&direct));
        prop_assert_eq!(links(&buffered), links(&direct));
        assert_same(&buffered, &direct);
    }
}

/// As the service does it, with the limits of the service.
#[test]
fn clicks_of_many_links_wait_and_those_of_few_do_not() {
    let database = database();
    let mut turns = Turns::without_rest();
    let of = |links: u128, count: u128| -> Vec<Counted> {
        let mut runner = TestRunner::deterministic();
        let mut clicks = Vec::new();
        for number in 0..count {
            let mut counted = click().new_tree(&mut runner).unwrap().current();
            counted.click.link_id = Uuid::from_u128(number % links);
            clicks.push(counted);
        }
        clicks
    };
    let few = add_all(&database, &of(100, 10_000), &mut turns).unwrap();
    assert_eq!(few, Some(0));
    let small = add_all(&database, &of(8_000, 8_000), &mut turns).unwrap();
    assert_eq!(small, None);
    for waiting in [10_000, 20_000] {
        let many = add_all(&database, &of(10_000, 10_000), &mut turns).unwrap();
        assert_eq!(many, Some(waiting));
    }
    let longest: i64 = database
        .query_row("SELECT max(length(visits)) FROM buffer", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(longest <= 4_000, "{longest}: a row has a page of its own");
}
