use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
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
