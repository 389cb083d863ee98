use super::super::take_over::{inherit, take_over};
use super::super::{MIGRATIONS, testing};
use super::*;

/// Two empty databases, one beside the other.
fn databases() -> Connection {
    let database = testing::database();
    let other = Connection::open_in_memory().unwrap();
    for migration in MIGRATIONS {
        other.execute_batch(migration).unwrap();
    }
    // The schema of the other one, under its own name.
    database
        .execute_batch("ATTACH ':memory:' AS beside")
        .unwrap();
    let mut tables = other
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'")
        .unwrap();
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for sql in tables {
        let sql = sql.unwrap();
        let named = ["TABLE", "UNIQUE INDEX", "INDEX"]
            .iter()
            .find_map(|kind| {
                let rest = sql.strip_prefix(&format!("CREATE {kind} "))?;
                Some(format!("CREATE {kind} beside.{rest}"))
            })
            .unwrap();
        database.execute_batch(&named).unwrap();
    }
    database
}

/// One link with two clicks, of one visitor each, and a gap of three numbers.
const COUNTED: &str = "
    INSERT INTO {db}.link (id, link_id, owner_id, code, humans, visitors, first_click_at_ms,
        last_click_at_ms) VALUES ({id}, x'01', x'aa', 'one', 2, 2, 10, 20);
    INSERT INTO {db}.label (id, text) VALUES ({id}, 'news.example'), ({id} + 1, 'human');
    INSERT INTO {db}.bucket VALUES ({id}, 7, 2, 0, 0);
    INSERT INTO {db}.breakdown VALUES ({id}, 1, {id}, 2), ({id}, 7, {id} + 1, 2);
    INSERT INTO {db}.visitor VALUES ({id}, 1, 100), ({id}, 1, 101);
    INSERT INTO {db}.visitor_day VALUES ({id}, 1, 2);
    INSERT INTO {db}.spool VALUES (x'05', 5);
    INSERT INTO {db}.gap VALUES (x'05', 1, 3, {id});";

fn fill(database: &Connection, name: &str, id: i64) {
    let sql = COUNTED
        .replace("{db}", name)
        .replace("{id}", &id.to_string());
    database.execute_batch(&sql).unwrap();
}

/// The same in both, under other row ids.
fn twins() -> Connection {
    let database = databases();
    fill(&database, "main", 1);
    fill(&database, "beside", 40);
    database
}

fn differing(database: &Connection) -> Vec<&'static str> {
    let compared = compare(database).unwrap();
    let differing = compared.differences.iter().filter(|(_, rows)| *rows > 0);
    differing.map(|(table, _)| *table).collect()
}

#[test]
fn the_same_under_other_row_ids_is_equal() {
    let compared = compare(&twins()).unwrap();
    assert!(compared.is_equal(), "{compared:?}");
    assert_eq!((compared.numbers_lost, compared.now.missing), (0, 3));
    assert!(compared.links.is_empty());
}

#[test]
fn a_change_anywhere_is_found_from_both_sides() {
    for database in ["main", "beside"] {
        for (table, change) in [
            ("link", "UPDATE {db}.link SET last_click_at_ms = 21"),
            ("link", "UPDATE {db}.link SET bots = 1"),
            ("bucket", "UPDATE {db}.bucket SET others = 1"),
            ("bucket", "DELETE FROM {db}.bucket"),
            (
                "breakdown",
                "UPDATE {db}.breakdown SET clicks = 3 WHERE dimension = 1",
            ),
            (
                "breakdown",
                "UPDATE {db}.label SET text = 'other.example' WHERE text LIKE 'news%'",
            ),
            ("visitor", "DELETE FROM {db}.visitor WHERE visitor = 100"),
            ("visitor_day", "UPDATE {db}.visitor_day SET day = 2"),
            ("gap", "UPDATE {db}.gap SET first = 2"),
            ("spool", "UPDATE {db}.spool SET next = 6"),
        ] {
            let twins = twins();
            twins
                .execute_batch(&change.replace("{db}", database))
                .unwrap();
            assert_eq!(differing(&twins), [table], "{change} in {database}");
        }
    }
}

#[test]
fn numbers_that_only_one_has_seen_are_told_apart() {
    for (change, lost) in [
        ("UPDATE beside.spool SET next = 9", 0),
        ("UPDATE beside.spool SET next = 4", 1),
        // Numbers 1 to 3 were not seen here either.
        ("DELETE FROM beside.spool; DELETE FROM beside.gap", 2),
        ("UPDATE beside.gap SET first = 0", 1),
        ("UPDATE beside.gap SET first = 2", 0),
        ("DELETE FROM beside.gap", 0),
        ("DELETE FROM main.gap", 3),
        ("INSERT INTO beside.gap VALUES (x'05', 4, 4, 0)", 1),
        // A spool that is not known here.
        (
            "INSERT INTO beside.spool VALUES (x'06', 3); INSERT INTO beside.gap VALUES (x'06', 0, 1, 0)",
            0,
        ),
    ] {
        let twins = twins();
        twins.execute_batch(change).unwrap();
        assert_eq!(compare(&twins).unwrap().numbers_lost, lost, "{change}");
    }
}

#[test]
fn what_is_taken_over_is_equal_and_keeps_who_is_who() {
    let twins = twins();
    twins
        .execute_batch(
            "UPDATE main.link SET humans = 9, version = 4;
             INSERT INTO main.link (link_id, owner_id, code, bots) VALUES (x'02', x'aa', 'two', 5);
             INSERT INTO main.bucket VALUES (2, 7, 0, 5, 0);
             INSERT INTO beside.link (link_id, owner_id, code, humans)
                 VALUES (x'03', x'aa', 'three', 1), (x'04', x'bb', 'four', 1);
             INSERT INTO beside.bucket VALUES (41, 7, 1, 0, 0), (42, 7, 1, 0, 0);
             UPDATE beside.gap SET first = 2;
             INSERT INTO main.closed_account VALUES (x'bb', 0, 1)",
        )
        .unwrap();
    let before = compare(&twins).unwrap();
    assert!(!before.is_equal());
    assert_eq!(before.links.len(), 4);
    assert_eq!(before.links[0].code, "one");
    take_over(&twins).unwrap();
    let links: Vec<(String, i64, i64)> = twins
        .prepare("SELECT code, humans + bots, version FROM main.link ORDER BY id")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let expected = [("one", 2, 4), ("two", 0, 0), ("three", 1, 0)];
    assert_eq!(
        links,
        expected.map(|(code, clicks, version)| (code.to_owned(), clicks, version))
    );
    // What is left is the closed account's.
    inherit(&twins).unwrap();
    twins.execute_batch("DELETE FROM beside.bucket WHERE link = 42; DELETE FROM beside.link WHERE code = 'four'").unwrap();
    assert!(compare(&twins).unwrap().is_equal(), "{:?}", compare(&twins));
}
