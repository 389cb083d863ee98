use events::{LinkRecord, LinkState};
use uuid::Uuid;

use super::*;

fn link(code: &str, id: u128, version: u64) -> Link {
    Link::pack(&LinkRecord {
        link_id: Uuid::from_u128(id),
        owner_id: Uuid::from_u128(1),
        code: code.into(),
        url: format!("https://example.org/{id}/{version}"),
        version,
        state: LinkState::Active,
        valid_from_ms: None,
        valid_until_ms: None,
        max_clicks: None,
        fallback_url: None,
        redirect_status: 302,
    })
    .unwrap()
}

pub(super) fn find(table: &LinkTable, code: &str) -> Option<Link> {
    let mut bytes = Vec::new();
    let link = table.find(code, &mut bytes)?;
    Link::from_bytes(link.bytes().into())
}

#[test]
fn an_older_version_of_a_link_never_replaces_a_newer_one() {
    let table = LinkTable::new();
    assert_eq!(table.put(link("a", 7, 2)), Put::Taken);
    assert_eq!(table.put(link("a", 7, 1)), Put::Outdated);
    assert_eq!(find(&table, "a").unwrap().version(), 2);
    assert_eq!(table.put(link("a", 7, 3)), Put::Taken);
    assert_eq!(find(&table, "a").unwrap().version(), 3);
    assert_eq!(table.len(), 1);
}

#[test]
fn another_link_takes_a_code_over_whatever_its_version() {
    let table = LinkTable::new();
    table.put(link("a", 7, 9));
    assert_eq!(table.put(link("a", 8, 1)), Put::Taken);
    assert_eq!(find(&table, "a").unwrap().link_id(), Uuid::from_u128(8));
}

#[test]
fn what_is_removed_is_gone_and_counted_once() {
    let table = LinkTable::new();
    table.put(link("a", 7, 1));
    table.put(link("b", 8, 1));
    table.remove("a");
    table.remove("a");
    assert_eq!(find(&table, "a"), None);
    assert_eq!(table.len(), 1);
}

#[test]
fn a_full_read_drops_what_it_did_not_see() {
    let table = LinkTable::new();
    for number in 0..1_000 {
        table.put(link(&format!("c{number}"), number, 2));
    }
    table.begin_round();
    for number in (0..1_000).step_by(2) {
        // Half of them in an older version: still there, and still the newer one.
        table.put(link(
            &format!("c{number}"),
            number,
            1 + u64::try_from(number).unwrap() % 4,
        ));
    }
    assert_eq!(table.len(), 1_000);
    assert_eq!(table.end_round(), 500);
    assert_eq!(table.len(), 500);
    assert!(find(&table, "c1").is_none());
    assert!(find(&table, "c0").unwrap().version() >= 2);
}
