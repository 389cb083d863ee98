use events::{Click, Hints};

use super::*;
use crate::rules::Rules;
use crate::store::testing::database;

fn message(owners: &[Uuid]) -> Message {
    let rules = Rules::new();
    let counted = |owner: &Uuid| {
        let click = Click {
            link_id: Uuid::nil(),
            owner_id: *owner,
            code: "abc".into(),
            at_ms: 1_772_366_400_000,
            hints: Hints::NONE,
            referrer: "".into(),
            user_agent: "".into(),
            language: "".into(),
            country: None,
            visitor: 0,
        };
        let (kind, agent) = rules.classify(&click);
        Counted { click, kind, agent }
    };
    Message {
        sequence: 7,
        stored_at_ns: 70,
        spool: Uuid::nil(),
        numbers: 10..10 + owners.len() as u64,
        clicks: Some(owners.iter().map(counted).collect()),
    }
}

/// Counts every click of the message; how many messages were written, how many found no room.
fn count(tx: &Connection, epoch: Option<&str>, message: &Message) -> [u64; 2] {
    let mut outgoing = Outgoing::new(tx, epoch).unwrap();
    for (index, counted) in message.clicks.iter().flatten().enumerate() {
        outgoing.add(tx, message, index, counted).unwrap();
    }
    let Written { messages, dropped } = outgoing.finish(tx).unwrap();
    [messages, dropped]
}

fn waiting(tx: &Connection) -> Vec<(String, Origin)> {
    let entries = feed::load(tx, 0, 100).unwrap();
    let told = |entry: Entry| (entry.click, entry.origin);
    entries.into_iter().map(told).collect()
}

fn origin(epoch: &str, sequence: u64, index: u32, stored_at_ns: i64) -> Origin {
    Origin {
        epoch: epoch.to_owned(),
        sequence,
        index,
        stored_at_ns,
    }
}

#[test]
fn only_the_clicks_of_those_who_turned_it_on_are_written() {
    let database = database();
    let [one, other, never] = [1, 2, 3].map(Uuid::from_u128);
    let message = message(&[one, other, never, one]);
    assert_eq!(count(&database, Some("e"), &message), [0, 0]);
    assert!(waiting(&database).is_empty());
    feed::set(&database, one, true).unwrap();
    feed::set(&database, other, true).unwrap();
    feed::set(&database, other, false).unwrap();
    assert_eq!(count(&database, Some("e"), &message), [2, 0]);
    let spool = Uuid::nil();
    assert_eq!(
        waiting(&database),
        [
            (format!("{spool}-10"), origin("e", 7, 0, 70)),
            (format!("{spool}-13"), origin("e", 7, 3, 70)),
        ]
    );
}

#[test]
fn what_finds_no_room_is_counted_for_its_owner() {
    let database = database();
    let [one, other] = [1, 2].map(Uuid::from_u128);
    feed::set(&database, one, true).unwrap();
    feed::set(&database, other, true).unwrap();
    // The backlog is told by its first and last row.
    count(&database, Some("e"), &message(&[one, one]));
    let last = i64::try_from(BACKLOG).unwrap() - 1;
    database
        .execute("UPDATE feed_outbox SET id = ? WHERE id = 2", [last])
        .unwrap();
    database
        .execute("UPDATE sqlite_sequence SET seq = ?", [last])
        .unwrap();
    let full = message(&[one, other, one]);
    assert_eq!(count(&database, Some("e"), &full), [1, 2]);
    assert_eq!(waiting(&database).len(), 3);
    assert_eq!(feed::backlog(&database).unwrap(), BACKLOG);
    for owner in [one, other] {
        let feed = feed::of(&database, owner).unwrap();
        assert_eq!((feed.enabled, feed.dropped), (true, 1));
    }
    // As soon as there is room again, nothing is dropped.
    feed::confirm(&database, 1).unwrap();
    assert_eq!(count(&database, Some("e"), &message(&[one])), [1, 0]);
}

#[test]
fn behind_a_barrier_nothing_is_written_twice() {
    let database = database();
    let owner = Uuid::from_u128(1);
    feed::set(&database, owner, true).unwrap();
    feed::save_cursor(&database, &feed::Cursor::default()).unwrap();
    feed::raise_barrier(&database, &origin("e", 7, 0, 70)).unwrap();
    count(&database, Some("e"), &message(&[owner, owner]));
    // What comes from elsewhere was not read in the stream, and is not told by it.
    count(&database, None, &message(&[owner]));
    let places: Vec<u32> = waiting(&database).iter().map(|(_, at)| at.index).collect();
    assert_eq!(places, [1, ELSEWHERE]);
}

#[test]
fn clicks_from_elsewhere_stand_behind_what_was_read() {
    let database = database();
    let owner = Uuid::from_u128(1);
    feed::set(&database, owner, true).unwrap();
    count(&database, None, &message(&[owner]));
    let position = position::Position {
        epoch: "e".to_owned(),
        sequence: 9,
        fingerprint: vec![1],
    };
    position::save(&database, events::streams::CLICKS.name, &position).unwrap();
    count(&database, None, &message(&[owner]));
    let origins: Vec<Origin> = waiting(&database).into_iter().map(|(_, at)| at).collect();
    assert_eq!(
        origins,
        [
            origin("", 0, ELSEWHERE, 0),
            origin("e", 9, ELSEWHERE, i64::MAX)
        ]
    );
    // The first one as a barrier: whoever read nothing published nothing that could come again.
    assert!(!origins[0].bars(&origin("e", 1, 0, 1)));
    assert!(origins[1].bars(&origin("e", 9, 5, 1)));
}
