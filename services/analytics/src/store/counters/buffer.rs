//! Clicks that wait until more have come for their links.
//!
//! A click of a link that has few costs mostly the finding, changing and writing of that link's page,
//! and all of it again for the next one. So clicks of a large set that are nearly alone with their
//! links are put down side by side, a hundred in a row, and brought to the pages once several have
//! come for each link. They are counted all the same: whoever asks for a link is told what its pages
//! will say, and its account's clicks are added at once. Only how many of its visitors are new is not
//! known to an account before that.
//!
//! Links are divided into ranges, so that the clicks of a few hundred links can be found, and brought
//! to their pages, without the others. (As in a Bε-tree, with one level of buffers.)

mod filling;
mod row;

use std::cmp::Reverse;

use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::link_pages::unreadable;
use super::sources::Sources;
use super::visits::Visit;
use crate::ingest::turns::Turns;

pub(super) use filling::Filling;

/// What goes to the buffer, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Clicks of a set from which on some of them wait: a smaller set is stored soon enough.
    pub(super) large: usize,
    /// A link that has as many clicks in a set is brought to its page at once.
    pub(super) dense: usize,
    /// Clicks of a row.
    pub(super) row: usize,
    /// A range into which more clicks of one set fall is divided.
    pub(super) divided: usize,
    /// Clicks that wait in a range at most: so many are read for each question about a link of it.
    pub(super) in_range: usize,
    /// Clicks that wait behind a set at most.
    pub(super) waiting: u64,
}

/// With some 38 bytes for a click, a row of a hundred fills a page of the file and needs no second
/// one, and 160 MB wait at most: four clicks for each of a million links.
pub(super) const LIMITS: Limits = Limits {
    large: 8_192,
    dense: 4,
    row: 100,
    divided: 200,
    in_range: 4_096,
    waiting: 4_000_000,
};

/// Bits of the place of a row in its range.
const PLACE_BITS: u32 = 20;

/// The ranges within a transaction.
pub(super) struct Ranges<'a> {
    tx: &'a Connection,
    /// By their first links.
    all: Vec<Range>,
}

/// The links from `first` on up to the next range's.
struct Range {
    first: u128,
    /// The number under which its rows are stored.
    number: i64,
    visits: usize,
    rows: u32,
    is_changed: bool,
}

/// Clicks that have waited.
#[derive(Default)]
pub(super) struct Waited {
    /// By link.
    pub(super) visits: Vec<Visit>,
    pub(super) sources: Sources,
}

impl<'a> Ranges<'a> {
    pub(super) fn open(tx: &'a Connection, turns: &mut Turns<'_>) -> rusqlite::Result<Self> {
        let mut all = Vec::new();
        let mut ranges = tx.prepare_cached(
            "SELECT first, number, visits, rows FROM buffer_range ORDER BY first",
        )?;
        let mut ranges = ranges.query([])?;
        while let Some(row) = ranges.next()? {
            turns.rest();
            all.push(Range {
                first: row.get::<_, Uuid>(0)?.as_u128(),
                number: row.get(1)?,
                visits: row.get(2)?,
                rows: row.get(3)?,
                is_changed: false,
            });
        }
        Ok(Self { tx, all })
    }

    /// How many clicks wait.
    pub(super) fn waiting(&self) -> u64 {
        self.all.iter().map(|range| range.visits as u64).sum()
    }

    /// Takes out whole ranges, those first in which most clicks wait, until at most so many are left;
    /// gives each to `count`.
    pub(super) fn leave(
        &mut self,
        most: u64,
        mut count: impl FnMut(&Waited) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut waiting = self.waiting();
        if waiting <= most {
            return Ok(());
        }
        let mut fullest: Vec<_> = self.all.iter_mut().collect();
        fullest.sort_unstable_by_key(|range| Reverse(range.visits));
        for range in fullest {
            if waiting <= most {
                break;
            }
            waiting -= range.visits as u64;
            count(&range.take(self.tx)?)?;
        }
        Ok(())
    }

    /// Takes out the range with this number.
    pub(super) fn take(&mut self, number: i64) -> rusqlite::Result<Waited> {
        let range = self.all.iter_mut().find(|range| range.number == number);
        range.map_or_else(|| Ok(Waited::default()), |range| range.take(self.tx))
    }

    /// Stores what was changed.
    pub(super) fn save(&self, turns: &mut Turns<'_>) -> rusqlite::Result<()> {
        let mut put = self.tx.prepare_cached(
            "INSERT OR REPLACE INTO buffer_range (first, number, visits, rows) VALUES (?, ?, ?, ?)",
        )?;
        for range in self.all.iter().filter(|range| range.is_changed) {
            turns.rest();
            let first = Uuid::from_u128(range.first);
            put.execute(params![first, range.number, range.visits, range.rows])?;
        }
        Ok(())
    }
}

impl Range {
    fn new(first: u128, number: i64) -> Self {
        Self {
            first,
            number,
            visits: 0,
            rows: 0,
            is_changed: true,
        }
    }

    /// Takes out what waits.
    fn take(&mut self, tx: &Connection) -> rusqlite::Result<Waited> {
        let waited = read(tx, self.number, |_| true)?;
        tx.prepare_cached("DELETE FROM buffer WHERE id >= ?1 AND id < ?2")?
            .execute([id(self.number, 0), id(self.number + 1, 0)])?;
        self.visits = 0;
        self.rows = 0;
        self.is_changed = true;
        Ok(waited)
    }
}

/// The clicks of a link that wait.
pub(super) fn of_link(connection: &Connection, link_id: Uuid) -> rusqlite::Result<Vec<Visit>> {
    let range: Option<i64> = connection
        .prepare_cached(
            "SELECT number FROM buffer_range WHERE first <= ?1 ORDER BY first DESC LIMIT 1",
        )?
        .query_row([link_id], |row| row.get(0))
        .optional()?;
    let Some(number) = range else {
        return Ok(Vec::new());
    };
    let link = link_id.as_u128();
    Ok(read(connection, number, |one| one == link)?.visits)
}

/// The numbers of ranges, at most `limit`, in which clicks of this account wait.
pub(super) fn ranges_of_account(
    connection: &Connection,
    owner_id: Uuid,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let mut numbers = Vec::new();
    let mut rows = connection.prepare_cached("SELECT id, visits FROM buffer ORDER BY id")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let number = row.get::<_, i64>(0)? >> PLACE_BITS;
        if numbers.last() == Some(&number) {
            continue;
        }
        let owners = row::owners(row.get_ref(1)?.as_blob()?).map_err(unreadable)?;
        if owners.contains(&owner_id) {
            numbers.push(number);
            if numbers.len() == limit {
                break;
            }
        }
    }
    Ok(numbers)
}

/// The clicks of the wanted links that wait in a range.
fn read(
    connection: &Connection,
    number: i64,
    is_wanted: impl Fn(u128) -> bool,
) -> rusqlite::Result<Waited> {
    let mut waited = Waited::default();
    let mut rows = connection
        .prepare_cached("SELECT visits FROM buffer WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
    let mut rows = rows.query([id(number, 0), id(number + 1, 0)])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob()?;
        row::decode(bytes, &is_wanted, &mut waited.visits, &mut waited.sources)
            .map_err(unreadable)?;
    }
    // Each row is sorted, and a stable sort finds that out.
    waited.visits.sort_by_key(|visit| visit.link);
    Ok(waited)
}

/// The id of a row.
fn id(range: i64, place: u32) -> i64 {
    (range << PLACE_BITS) + i64::from(place)
}
