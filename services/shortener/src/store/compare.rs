//! What a comparison of the link table with the database needs.

use chassis::outbox;
use events::subjects;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rusqlite::{OptionalExtension, params};

use super::links::{self, count};
use super::{BATCH, OutboxRow, Store, row};
use crate::domain::Link;
use crate::error::Error;

/// How many links are read at once to be compared.
const PAGE: i64 = 2_000;

/// How many batches of repairs wait for the writer at the same time, so that it never waits for the
/// next one.
const AHEAD: usize = 2;

/// Something that the link table has otherwise than the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The subject of the value.
    pub subject: String,
    /// The version of the value that is there, if it is a readable record.
    pub version: u64,
}

/// What was written to repair differences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repair {
    /// Values written.
    pub written: u64,
    /// Values removed.
    pub removed: u64,
    /// The last row of the outbox.
    pub last: Option<OutboxRow>,
}

impl Store {
    /// Links in the order of their codes, behind the code `after`; at most one page.
    pub async fn links_after(&self, after: String) -> Result<Vec<Link>, Error> {
        self.database
            .read(move |db| {
                let sql = format!(
                    "SELECT {} FROM links WHERE code > ?1 ORDER BY code LIMIT ?2",
                    row::COLUMNS
                );
                let mut statement = db.prepare_cached(&sql)?;
                let links = statement.query_map(params![after, PAGE], row::read)?;
                Ok(links.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// The newest row that waits in the outbox; none if everything was sent.
    pub async fn newest_unsent(&self) -> Result<Option<OutboxRow>, Error> {
        self.database
            .read(|db| {
                Ok(db
                    .query_row("SELECT max(id) FROM outbox", [], |row| row.get(0))
                    .optional()?
                    .flatten())
            })
            .await
    }

    /// How many links there are; none if the outbox is not empty.
    pub async fn count_if_all_sent(&self) -> Result<Option<u64>, Error> {
        self.database
            .read(|db| {
                let sql = "SELECT NOT EXISTS (SELECT 1 FROM outbox)";
                let sent: bool = db.query_row(sql, [], |row| row.get(0))?;
                Ok(if sent { Some(count(db)?) } else { None })
            })
            .await
    }

    /// Sends, for each of `differences`, what the database says at this moment.
    pub async fn repair(&self, differences: Vec<Difference>) -> Result<Repair, Error> {
        let batches = stream::iter(differences.chunks(BATCH).map(<[_]>::to_vec));
        batches
            .map(|batch| {
                self.database
                    .write(move |tx| Ok::<_, Error>(repair(tx, &batch)?))
            })
            .buffered(AHEAD)
            .try_fold(Repair::default(), |total, repair| async move {
                Ok(Repair {
                    written: total.written + repair.written,
                    removed: total.removed + repair.removed,
                    last: repair.last.or(total.last),
                })
            })
            .await
    }
}

fn repair(tx: &rusqlite::Connection, batch: &[Difference]) -> rusqlite::Result<Repair> {
    let mut repair = Repair::default();
    for difference in batch {
        let code = subjects::link_code(&difference.subject).unwrap_or_default();
        let Some(mut link) = links::find(tx, code)? else {
            repair.last = Some(outbox::append_delete(tx, &difference.subject)?);
            repair.removed += 1;
            continue;
        };
        // Redirectors never replace a newer version by an older one: ours has to be the newest.
        if difference.version >= link.version {
            if difference.version < MAX_PLAUSIBLE_VERSION {
                link.version = difference.version + 1;
                links::update(tx, &link)?;
            } else {
                outbox::append_delete(tx, &difference.subject)?;
            }
        }
        repair.last = Some(links::publish(tx, &link)?);
        repair.written += 1;
    }
    Ok(repair)
}

/// A version that no link reaches: a million changes a second for a thousand years. A value above
/// it is not outdone but deleted first.
const MAX_PLAUSIBLE_VERSION: u64 = 1 << 55;
