use rusqlite::{Connection, OptionalExtension as _, Row};
use uuid::Uuid;

use crate::domain::{Code, Codes};
use crate::store::account_totals;
use crate::store::counters::{self, Totals};

/// One link's totals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// Its id in all of kurz.
    pub link_id: Uuid,
    /// Its code.
    pub code: String,
    /// Whether it was deleted; its statistics stay.
    pub deleted: bool,
    /// Its sums.
    pub totals: Totals,
}

/// The totals of all links of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummaryRow {
    /// How many links there are that were not deleted.
    pub links: u64,
    /// The sums over all links, deleted ones included.
    pub totals: Totals,
}

/// The owner's newest link with this code: a code that was deleted can be taken again.
pub fn newest_link(
    connection: &Connection,
    owner: Uuid,
    code: &Code,
) -> rusqlite::Result<Option<Uuid>> {
    connection
        .prepare_cached(
            "SELECT link_id FROM link WHERE owner_id = ?1 AND code = ?2
             ORDER BY link_id DESC LIMIT 1",
        )?
        .query_row((owner, code.as_str()), |row| row.get(0))
        .optional()
}

/// The totals of the owner's newest link with this code.
pub fn totals(
    connection: &Connection,
    owner: Uuid,
    code: &Code,
) -> rusqlite::Result<Option<LinkRow>> {
    connection
        .prepare_cached(
            "SELECT link_id, code, deleted FROM link WHERE owner_id = ?1 AND code = ?2
             ORDER BY link_id DESC LIMIT 1",
        )?
        .query_row((owner, code.as_str()), |row| link_row(connection, row))
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
        .prepare_cached(
            "SELECT link_id, code, deleted FROM link WHERE owner_id = ?1 AND link_id < ?2
             ORDER BY link_id DESC LIMIT ?3",
        )?
        .query_map((owner, after, limit), |row| link_row(connection, row))?
        .collect()
}

/// The totals of all links of one account, deleted ones included.
pub fn summary(connection: &Connection, owner: Uuid) -> rusqlite::Result<SummaryRow> {
    let links = connection
        .prepare_cached("SELECT count(*) FROM link WHERE owner_id = ?1 AND deleted = 0")?
        .query_row([owner], |row| row.get(0))?;
    let totals = account_totals::get(connection, owner)?;
    Ok(SummaryRow { links, totals })
}

fn link_row(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<LinkRow> {
    let link_id = row.get(0)?;
    Ok(LinkRow {
        link_id,
        code: row.get(1)?,
        deleted: row.get(2)?,
        totals: counters::totals(connection, link_id)?,
    })
}
