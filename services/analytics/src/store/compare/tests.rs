use super::super::take_over::{inherit, take_over};
use super::super::{MIGRATIONS, testing};
use super::*;
use crate::store::counters::{Key, Sort, Total, page};

/// Two empty databases, one beside the other.
fn databases() -> Connection {
    let database = testing::database();
    let other = Connection::open_in_memory().unwrap();
    for migration in MIGRATIONS {
        migration.run(&other).unwrap();
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

/// One account with one link with two clicks, of one visitor each, and a gap of three numbers. The
/// labels have the numbers from `id` on.
const COUNTED: &str = "
    INSERT INTO {db}.link (link_id, owner_id, code) VALUES ({one}, x'aa', 'one');
    INSERT INTO {db}.label (id, text) VALUES ({id}, 'news.example'), ({id} + 1, 'human');
    INSERT INTO {db}.account VALUES (x'aa', 2, 0, 0, 2, 10, 20);
    INSERT INTO {db}.spool VALUES (x'05', 5);
    INSERT INTO {db}.gap VALUES (x'05', 1, 3, {id});";

fn link(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// As SQL writes the id of a link.
fn literal(link: Uuid) -> String {
    format!("x'{}'", link.simple())
}

fn counters(id: i64) -> Vec<(Key, u64)> {
    let mut counters = vec![
        (Key::total(Total::Humans), 2),
        (Key::total(Total::Visitors), 2),
        (Key::total(Total::FirstClick), 10),
        (Key::total(Total::LastClick), 20),
        (Key::breakdown(1, id), 2),
        (Key::breakdown(7, id + 1), 2),
        (Key::bucket(7, Sort::Human), 2),
        (Key::day(1), 2),
        (Key::visitor(1, 100), 1),
        (Key::visitor(1, 101), 1),
    ];
    counters.sort_unstable();
    counters
}

/// Stores these counters on pages of `on_page`.
fn store(database: &Connection, name: &str, link: Uuid, counters: &[(Key, u64)], on_page: usize) {
    let sql = format!("DELETE FROM {name}.counter WHERE link_id = ?");
    database.execute(&sql, [link]).unwrap();
    let mut pages = counters.chunks(on_page).peekable();
    let mut first = Key::FIRST;
    while let Some(piece) = pages.next() {
        let mut bytes = Vec::new();
        page::encode(piece, pages.peek().is_some(), &mut bytes);
        let sql = format!("INSERT INTO {name}.counter VALUES (?, ?, ?)");
        database
            .execute(&sql, (link, first.to_bytes(), bytes))
            .unwrap();
        first = pages.peek().map_or(first, |piece| piece[0].0);
    }
}

fn fill(database: &Connection, name: &str, id: i64) {
    let sql = COUNTED
        .replace("{db}", name)
        .replace("{one}", &literal(link(1)))
        .replace("{id}", &id.to_string());
    database.execute_batch(&sql).unwrap();
}

/// The same in both, on other pages and under labels with other numbers.
fn twins() -> Connection {
    let database = databases();
    fill(&database, "main", 1);
    store(&database, "main", link(1), &counters(1), 20);
    fill(&database, "beside", 40);
    store(&database, "beside", link(1), &counters(40), 3);
    database
}

fn differing(database: &Connection) -> Vec<&'static str> {
    let compared = compare(database).unwrap();
    let differing = compared.differences.iter().filter(|(_, rows)| *rows > 0);
    differing.map(|(table, _)| *table).collect()
}

#[test]
fn the_same_on_other_pages_is_equal() {
    let compared = compare(&twins()).unwrap();
    assert!(compared.is_equal(), "{compared:?}");
    assert_eq!((compared.numbers_lost, compared.now.missing), (0, 3));
    assert!(compared.links.is_empty());
}

#[test]
fn a_change_anywhere_is_found_from_both_sides() {
    for database in ["main", "beside"] {
        for (table, change) in [
            (
                "breakdown",
                "UPDATE {db}.label SET text = 'other.example' WHERE text LIKE 'news%'",
            ),
            ("account", "UPDATE {db}.account SET others = 1"),
            ("account", "DELETE FROM {db}.account"),
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
fn a_counter_that_differs_is_found_from_both_sides() {
    type Change = fn(&mut Vec<(Key, u64)>);
    let changes: [(&str, Change); 7] = [
        ("link", |counters| counters[1].1 += 1),
        ("link", |counters| {
            counters.insert(1, (Key::total(Total::Bots), 1));
        }),
        ("breakdown", |counters| counters[4].1 = 3),
        ("bucket", |counters| counters[6].1 = 3),
        ("bucket", |counters| {
            counters.remove(6);
        }),
        ("visitor_day", |counters| counters[7].0 = Key::day(2)),
        ("visitor", |counters| {
            counters.remove(8);
        }),
    ];
    for (table, change) in changes {
        for (database, label) in [("main", 1), ("beside", 40)] {
            let twins = twins();
            let mut counters = counters(label);
            change(&mut counters);
            store(&twins, database, link(1), &counters, 4);
            assert_eq!(differing(&twins), [table], "{table} in {database}");
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
    let add_link = |database: &str, number: u128, owner: &str, code: &str| {
        let id = literal(link(number));
        let sql = format!(
            "INSERT INTO {database}.link (link_id, owner_id, code) VALUES ({id}, {owner}, '{code}')"
        );
        twins.execute_batch(&sql).unwrap();
        store(
            &twins,
            database,
            link(number),
            &[(Key::total(Total::Humans), 5)],
            9,
        );
    };
    add_link("main", 2, "x'aa'", "two");
    add_link("beside", 3, "x'aa'", "three");
    add_link("beside", 4, "x'bb'", "four");
    twins
        .execute_batch(
            "UPDATE main.link SET version = 4;
             UPDATE main.account SET humans = 7;
             UPDATE beside.account SET humans = 7;
             INSERT INTO beside.account VALUES (x'bb', 5, 0, 0, 0, NULL, NULL);
             UPDATE beside.gap SET first = 2;
             INSERT INTO main.closed_account VALUES (x'bb', 0, 1)",
        )
        .unwrap();
    let before = compare(&twins).unwrap();
    assert!(!before.is_equal());
    let differing: Vec<&str> = before.links.iter().map(|link| &*link.code).collect();
    assert_eq!(differing, ["four", "three", "two"]);
    take_over(&twins).unwrap();
    let links: Vec<(String, i64)> = twins
        .prepare("SELECT code, version FROM main.link ORDER BY link_id")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let expected = [("one", 4), ("two", 4), ("three", 0)];
    assert_eq!(
        links,
        expected.map(|(code, version)| (code.to_owned(), version))
    );
    // What is left is the closed account's.
    inherit(&twins).unwrap();
    let four = literal(link(4));
    twins
        .execute_batch(&format!(
            "DELETE FROM beside.counter WHERE link_id = {four};
             DELETE FROM beside.link WHERE link_id = {four};
             DELETE FROM beside.account WHERE owner_id = x'bb'"
        ))
        .unwrap();
    assert!(compare(&twins).unwrap().is_equal(), "{:?}", compare(&twins));
}
