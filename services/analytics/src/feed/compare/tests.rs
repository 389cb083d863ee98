use super::*;
use crate::store::feed::{ELSEWHERE, Entry};
use crate::store::testing::database;
use uuid::Uuid;

/// The click of row `row` in the life of the first database: read as that message of CLICKS, which
/// was stored at that nanosecond.
fn click(row: i64) -> Entry {
    Entry {
        id: row,
        owner: Uuid::nil(),
        code: "abc".to_owned(),
        click: format!("c{row}"),
        at_ms: 0,
        origin: Origin {
            epoch: "clicks".to_owned(),
            sequence: row.cast_unsigned(),
            index: 0,
            stored_at_ns: row,
        },
        body: "{}".to_owned(),
    }
}

/// A database that published rows 1 to 3, the last of them at sequence 13, and has 4 to 6 waiting.
fn published_three() -> Connection {
    let database = database();
    for row in 1..=6 {
        feed::append(&database, &click(row)).unwrap();
    }
    feed::confirm(&database, 3).unwrap();
    let cursor = Cursor {
        epoch: "feed".to_owned(),
        sequence: 13,
        row: 3,
        click: "c3".to_owned(),
    };
    feed::save_cursor(&database, &cursor).unwrap();
    database
}

/// A database that never published, and has rows 1 to 3 waiting.
fn published_none() -> Connection {
    let database = database();
    for row in 1..=3 {
        feed::append(&database, &click(row)).unwrap();
    }
    database
}

/// The stream `epoch` up to `last_sequence`, whose last message is that of `last`: sequence, row.
fn seen(epoch: &str, last_sequence: u64, last: Option<(u64, i64)>) -> Seen {
    Seen {
        epoch: epoch.to_owned(),
        last_sequence,
        last: last.map(|(sequence, row)| Published {
            sequence,
            row,
            click: click(row).click,
            origin: click(row).origin,
        }),
        foreign: 0,
        oldest_ns: 5,
    }
}

fn waiting(database: &Connection, after: i64) -> Vec<String> {
    let entries = feed::load(database, after, 100).unwrap();
    entries.into_iter().map(|entry| entry.click).collect()
}

/// Compares, and checks what is published next and behind which sequence.
#[track_caller]
fn check(case: &str, database: &Connection, seen: &Seen, verdict: Verdict, next: &[&str]) {
    let (place, found) = compare(database, seen).unwrap();
    assert_eq!(found, verdict, "{case}");
    assert_eq!(place.expected, seen.last_sequence, "{case}");
    assert_eq!(waiting(database, place.cursor.row), next, "{case}");
    // What the writer is behind of is gone, so that nothing of it can be published again.
    if verdict != Verdict::StreamIsOlder {
        assert_eq!(waiting(database, 0), next, "{case}");
    }
    // Asked again, the answer is the same: a crash in between changes nothing.
    let (again, _) = compare(database, seen).unwrap();
    assert_eq!(again, place, "{case}, again");
    assert_eq!(waiting(database, place.cursor.row), next, "{case}, again");
}

#[test]
fn the_writer_goes_on_behind_what_the_stream_holds() {
    use Verdict::{DatabaseIsOlder, Joined, StreamIsOlder};
    let foreign = |foreign, seen: Seen| Seen { foreign, ..seen };
    let all: &[&str] = &["c4", "c5", "c6"];
    let cases: [(&str, Seen, Verdict, &[&str]); 16] = [
        (
            "as it was left",
            seen("feed", 13, Some((13, 3))),
            Joined,
            all,
        ),
        (
            "killed before it noted what was stored",
            seen("feed", 15, Some((15, 5))),
            Joined,
            &["c6"],
        ),
        ("everything expired", seen("feed", 13, None), Joined, all),
        (
            "killed, and what was stored expired",
            seen("feed", 15, None),
            Joined,
            &["c6"],
        ),
        (
            "the last ones purged with their owner",
            seen("feed", 13, Some((11, 1))),
            Joined,
            all,
        ),
        (
            "killed, and what was stored purged",
            seen("feed", 14, Some((12, 2))),
            Joined,
            &["c5", "c6"],
        ),
        (
            "killed, and the last one stored purged",
            seen("feed", 15, Some((14, 4))),
            Joined,
            &["c6"],
        ),
        ("made anew", seen("anew", 0, None), StreamIsOlder, all),
        (
            "made anew, killed behind the first",
            seen("anew", 1, Some((1, 4))),
            Joined,
            &["c5", "c6"],
        ),
        (
            "restored from an older copy",
            seen("feed", 11, Some((11, 1))),
            StreamIsOlder,
            all,
        ),
        (
            "restored, killed behind the first",
            seen("feed", 12, Some((12, 4))),
            Joined,
            &["c5", "c6"],
        ),
        (
            "this is an older copy",
            seen("feed", 20, Some((20, 10))),
            DatabaseIsOlder(3),
            &[],
        ),
        (
            "an older copy, and FEED expired",
            seen("feed", 20, None),
            DatabaseIsOlder(2),
            &["c6"],
        ),
        (
            "a stranger published",
            foreign(2, seen("feed", 15, Some((13, 3)))),
            Joined,
            all,
        ),
        (
            "killed, then a stranger",
            foreign(1, seen("feed", 15, Some((14, 4)))),
            Joined,
            &["c5", "c6"],
        ),
        (
            "a stranger, the rest is gone",
            foreign(1, seen("feed", 15, None)),
            Joined,
            &["c5", "c6"],
        ),
    ];
    for (case, seen, verdict, next) in cases {
        check(case, &published_three(), &seen, verdict, next);
    }
}

#[test]
fn a_database_that_never_published_begins_or_skips() {
    use Verdict::{DatabaseIsOlder, Joined};
    let cases: [(&str, Seen, Verdict, &[&str]); 4] = [
        (
            "both are new",
            seen("feed", 0, None),
            Joined,
            &["c1", "c2", "c3"],
        ),
        (
            "killed behind the second",
            seen("feed", 2, Some((2, 2))),
            Joined,
            &["c3"],
        ),
        (
            "the database is new",
            seen("feed", 9, Some((9, 40))),
            DatabaseIsOlder(3),
            &[],
        ),
        (
            "the database is new, FEED expired",
            seen("feed", 9, None),
            DatabaseIsOlder(3),
            &[],
        ),
    ];
    for (case, seen, verdict, next) in cases {
        check(case, &published_none(), &seen, verdict, next);
    }
}

#[test]
fn a_copy_that_counts_in_another_order_is_told_by_where_clicks_were_read() {
    // Row 4 was another click then, read at the place of c5.
    let database = published_three();
    let mut seen = seen("feed", 14, Some((14, 4)));
    let last = seen.last.as_mut().unwrap();
    (last.click, last.origin) = ("x".to_owned(), click(5).origin);
    check(
        "reordered",
        &database,
        &seen,
        Verdict::DatabaseIsOlder(2),
        &["c6"],
    );
    // Ids are of one click for ever, also those that the lost database gave.
    let ids: Vec<i64> = feed::load(&database, 0, 9)
        .unwrap()
        .iter()
        .map(|entry| entry.id)
        .collect();
    assert_eq!(ids, [12]);
    feed::append(&database, &click(7)).unwrap();
    assert_eq!(feed::load(&database, 12, 9).unwrap()[0].id, 13);
}

#[test]
fn a_retried_message_that_waited_in_the_copy_is_not_published_again() {
    let database = published_three();
    let elsewhere = |sequence| Origin {
        epoch: "clicks".to_owned(),
        sequence,
        index: ELSEWHERE,
        stored_at_ns: i64::MAX,
    };
    for sequence in [6, 30] {
        let entry = Entry {
            click: format!("retried-{sequence}"),
            origin: elsewhere(sequence),
            ..click(7)
        };
        feed::append(&database, &entry).unwrap();
    }
    let seen = seen("feed", 20, Some((20, 10)));
    check(
        "retried",
        &database,
        &seen,
        Verdict::DatabaseIsOlder(4),
        &["retried-30"],
    );
}

#[test]
fn a_barrier_bars_what_was_read_before_it_and_nothing_of_another_time() {
    let barrier = click(5).origin;
    assert!(barrier.bars(&click(4).origin));
    assert!(barrier.bars(&click(5).origin));
    assert!(!barrier.bars(&click(6).origin));
    let next_in_batch = Origin {
        index: 1,
        ..click(5).origin
    };
    assert!(!barrier.bars(&next_in_batch));
    // CLICKS came back from a backup, and gave the sequence again.
    let later = Origin {
        stored_at_ns: 6,
        ..click(4).origin
    };
    assert!(!barrier.bars(&later));
    let elsewhere = Origin {
        epoch: "other".to_owned(),
        ..click(4).origin
    };
    assert!(!barrier.bars(&elsewhere));
    let by_time = Origin {
        epoch: String::new(),
        ..barrier
    };
    assert!(by_time.bars(&elsewhere));
}
