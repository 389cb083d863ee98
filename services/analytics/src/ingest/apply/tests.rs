use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use events::{Click, Hints};
use proptest::prelude::*;

use super::*;
use crate::rules::Rules;
use crate::store::position::Position;
use crate::store::rows;
use crate::store::testing::database;

static RULES: LazyLock<Rules> = LazyLock::new(Rules::new);

/// 2026-03-01T12:00:00Z.
const NOON: i64 = 1_772_366_400_000;

/// The click with this number in this spool: always the same, and much of it differs by number.
fn counted(spool: u8, number: u64) -> Counted {
    let choose = |of: &[&str], by: u64| Arc::from(of[usize::try_from(by).unwrap() % of.len()]);
    let agents = [
        "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
        "curl/8.5.0",
        "WhatsApp/2.23.20.0 A",
    ];
    let click = Click {
        link_id: Uuid::from_u128(u128::from(number % 3)),
        owner_id: Uuid::from_u128(u128::from(number % 3) / 2),
        code: format!("code-{}", number % 3).into(),
        at_ms: NOON + i64::try_from(number).unwrap() * 7 * 60_000,
        hints: if number.is_multiple_of(11) {
            Hints::HEAD
        } else {
            Hints::NONE
        },
        referrer: choose(&["", "a.example", "b.example"], number / 2),
        user_agent: choose(&agents, number / 5),
        language: choose(&["de", "en"], number),
        country: number.is_multiple_of(4).then(|| "DE".into()),
        visitor: number % 13 + u64::from(spool),
    };
    let (kind, agent) = RULES.classify(&click);
    Counted { click, kind, agent }
}

/// Applies a set in one go.
fn apply_at_once(tx: &Connection, set: &Set) -> Result<Outcome, Error> {
    apply(tx, "s", set, 0, &mut Turns::without_rest())
}

fn set(sequence: u64, batches: impl IntoIterator<Item = (u8, Range<u64>)>) -> Set {
    let message = |(spool, numbers): (u8, Range<u64>)| Message {
        sequence,
        stored_at_ns: 0,
        spool: Uuid::from_u128(u128::from(spool)),
        numbers: numbers.clone(),
        clicks: Some(numbers.map(|number| counted(spool, number)).collect()),
    };
    Set {
        messages: batches.into_iter().map(message).collect(),
        position: Position {
            epoch: "e".to_owned(),
            sequence,
            fingerprint: vec![1],
        },
        missed: Vec::new(),
    }
}

/// Everything that the reports are made of.
fn statistics(database: &Connection) -> Vec<String> {
    rows::unpack(database).unwrap();
    let queries = [
        "SELECT hex(link_id) || owner_id || code || humans || ',' || bots || ',' || others || ','
             || visitors || ',' || coalesce(first_click_at_ms, 0) || ','
             || coalesce(last_click_at_ms, 0)
         FROM link JOIN sums USING (link_id) ORDER BY 1",
        "SELECT hex(link_id) || at || ',' || humans || ',' || bots || ',' || others
         FROM bucket ORDER BY 1",
        "SELECT hex(link_id) || dimension || text || ',' || clicks
         FROM breakdown JOIN label ON label.id = label ORDER BY 1",
        "SELECT hex(link_id) || day || ',' || visitors FROM visitor_day ORDER BY 1",
        "SELECT hex(link_id) || day || ',' || visitor FROM visitor ORDER BY 1",
        "SELECT hex(owner_id) || humans || ',' || bots || ',' || others || ',' || visitors || ','
             || coalesce(first_click_at_ms, 0) || ',' || coalesce(last_click_at_ms, 0)
         FROM account ORDER BY 1",
    ];
    let statistics = queries
        .iter()
        .flat_map(|query| {
            let mut statement = database.prepare(query).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.collect::<Result<Vec<String>, _>>().unwrap()
        })
        .collect();
    database
        .execute_batch(
            "DROP TABLE temp.sums; DROP TABLE temp.bucket; DROP TABLE temp.breakdown;
             DROP TABLE temp.visitor_day; DROP TABLE temp.visitor;",
        )
        .unwrap();
    statistics
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_repeated_the_count_is_that_of_the_distinct_clicks(
        sets in prop::collection::vec(
            prop::collection::vec((0_u8..3, 0_u64..120, 1_u64..30), 1..5),
            1..12,
        ),
    ) {
        let repeated = database();
        let mut distinct = BTreeSet::new();
        let mut applied = 0;
        for (at, batches) in sets.into_iter().enumerate() {
            let batches: Vec<(u8, Range<u64>)> = batches
                .into_iter()
                .map(|(spool, first, count)| (spool, first..first + count))
                .collect();
            for (spool, numbers) in &batches {
                distinct.extend(numbers.clone().map(|number| (*spool, number)));
            }
            let outcome = apply_at_once(&repeated, &set(at as u64, batches)).unwrap();
            applied += outcome.applied;
        }
        prop_assert_eq!(applied, distinct.len() as u64);

        let once = database();
        let batches = distinct.iter().map(|&(spool, number)| (spool, number..number + 1));
        apply_at_once(&once, &set(1, batches)).unwrap();
        prop_assert_eq!(statistics(&repeated), statistics(&once));

        // What is missing is what is below the highest number and never came.
        let missing = ledgers::missing(&repeated).unwrap();
        let expected: u64 = (0..3)
            .map(|spool| {
                let numbers = || distinct.range((spool, 0)..(spool + 1, 0));
                let next = numbers().next_back().map_or(0, |&(_, number)| number + 1);
                next - numbers().count() as u64
            })
            .sum();
        prop_assert_eq!(missing, expected);
    }
}

#[test]
fn a_set_that_fails_half_way_leaves_nothing_behind() {
    let mut database = database();
    apply_at_once(&database, &set(1, [(0, 0..5)])).unwrap();
    let before = statistics(&database);
    let transaction = database.transaction().unwrap();
    transaction.execute_batch("DROP TABLE position").unwrap();
    assert!(apply_at_once(&transaction, &set(2, [(0, 5..9)])).is_err());
    transaction.rollback().unwrap();
    assert_eq!(statistics(&database), before);
    let outcome = apply_at_once(&database, &set(2, [(0, 5..9)])).unwrap();
    assert_eq!((outcome.applied, outcome.counted.len()), (4, 4));
}
