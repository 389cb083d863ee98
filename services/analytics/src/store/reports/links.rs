use rusqlite::{Connection, OptionalExtension as _, Row};
use uuid::Uuid;

use crate::domain::{Code, Codes};

/// The columns of a [`LinkRow`], in its order.
const COLUMNS: &str =
    "link_id, code, deleted, humans, bots, visitors, first_click_at_ms, last_click_at_ms";

/// Who a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnedLink {
    /// Its number in this database.
    pub id: i64,
    /// Its id in all of kurz.
    pub link_id: Uuid,
}

/// One link's totals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// Its id in all of kurz.
    pub link_id: Uuid,
    /// Its code.
    pub code: String,
    /// Whether it was deleted; its statistics stay.
    pub deleted: bool,
    /// Clicks of people.
    pub humans: u64,
    /// Clicks of bots.
    pub bots: u64,
    /// Sum of each day's distinct visitors.
    pub visitors: u64,
    /// When the first click was, in milliseconds since 1970.
    pub first_click_at_ms: Option<i64>,
    /// When the last click was, in milliseconds since 1970.
    pub last_click_at_ms: Option<i64>,
}

/// The totals of all links of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummaryRow {
    /// How many links there are that were not deleted.
    pub links: u64,
    /// Clicks of people.
    pub humans: u64,
    /// Clicks of bots.
    pub bots: u64,
    /// Sum over the links of each day's distinct visitors.
    pub visitors: u64,
    /// When the first click was, in milliseconds since 1970.
    pub first_click_at_ms: Option<i64>,
    /// When the last click was, in milliseconds since 1970.
    pub last_click_at_ms: Option<i64>,
}

/// The owner's newest link with this code: a code that was deleted can be taken again.
pub fn newest_link(
    connection: &Connection,
    owner: Uuid,
    code: &Code,
) -> rusqlite::Result<Option<OwnedLink>> {
    connection
        .prepare_cached(
            "SELECT id, link_id FROM link WHERE owner_id = ?1 AND code = ?2
             ORDER BY link_id DESC LIMIT 1",
        )?
        .query_row((owner, code.as_str()), |row| {
            Ok(OwnedLink {
                id: row.get(0)?,
                link_id: row.get(1)?,
            })
        })
        .optional()
}

/// The totals of the owner's newest link with this code.
pub fn totals(
    connection: &Connection,
    owner: Uuid,
    code: &Code,
) -> rusqlite::Result<Option<LinkRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM link WHERE owner_id = ?1 AND code = ?2
             ORDER BY link_id DESC LIMIT 1"
        ))?
        .query_row((owner, code.as_str()), link_row)
        .optional()
}

/// The same for several codes, in the codes' order; those that the owner does not have are left
/// out.
pub fn totals_of(
    connection: &Connection,
    owner: Uuid,
    codes: &Codes,
) -> rusqlite::Result<Vec<LinkRow>> {
    codes
        .iter()
        .filter_map(|code| totals(connection, owner, code).transpose())
        .collect()
}

/// The owner's links from the newest to the oldest, at most `limit`, behind the link `after`.
pub fn links(
    connection: &Connection,
    owner: Uuid,
    after: Option<Uuid>,
    limit: usize,
) -> rusqlite::Result<Vec<LinkRow>> {
    // A UUIDv7 of the greatest kind is behind no link.
    let after = after.unwrap_or(Uuid::max());
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM link WHERE owner_id = ?1 AND link_id < ?2
             ORDER BY link_id DESC LIMIT ?3"
        ))?
        .query_map((owner, after, limit), link_row)?
        .collect()
}

/// The totals of all links of one account, deleted ones included.
pub fn summary(connection: &Connection, owner: Uuid) -> rusqlite::Result<SummaryRow> {
    connection
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE deleted = 0), coalesce(sum(humans), 0),
                    coalesce(sum(bots), 0), coalesce(sum(visitors), 0),
                    min(first_click_at_ms), max(last_click_at_ms)
             FROM link WHERE owner_id = ?1",
        )?
        .query_row([owner], |row| {
            Ok(SummaryRow {
                links: row.get(0)?,
                humans: row.get(1)?,
                bots: row.get(2)?,
                visitors: row.get(3)?,
                first_click_at_ms: row.get(4)?,
                last_click_at_ms: row.get(5)?,
            })
        })
}

fn link_row(row: &Row<'_>) -> rusqlite::Result<LinkRow> {
    Ok(LinkRow {
        link_id: row.get(0)?,
        code: row.get(1)?,
        deleted: row.get(2)?,
        humans: row.get(3)?,
        bots: row.get(4)?,
        visitors: row.get(5)?,
        first_click_at_ms: row.get(6)?,
        last_click_at_ms: row.get(7)?,
    })
}
