//! The counters of links, packed into pages.
//!
//! A click changes about ten numbers of its link. As rows of their own they would lie on as many
//! pages of the file, and each of those is written for each click; so all numbers of a link lie
//! together, sorted by key, in as few rows as hold them: one, for almost every link.

mod buffer;
mod key;
mod link_pages;
mod pack;
pub mod page;
mod sources;
mod unpack;
mod varint;
mod visits;

use rusqlite::{Connection, params};
use uuid::Uuid;

use buffer::{Filling, LIMITS, Limits, Ranges, Waited};
pub use key::{Key, Sort, Total, kind};
pub(super) use link_pages::unreadable;
use link_pages::{LinkPages, Pages};
pub use pack::pack_rows;
pub use unpack::{Totals, each, totals};
use visits::Visit;
pub use visits::Visits;

use crate::ingest::set::Counted;
use crate::ingest::turns::Turns;
use crate::store::account_totals;

/// Milliseconds in a bucket: a quarter of an hour, because every time zone's hours begin on one.
pub const BUCKET_MS: i64 = 15 * 60 * 1_000;
/// Milliseconds in a UTC day, the time for which a visitor's hash holds.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Adds clicks to the counters of their links and accounts, and makes the rows of links that were
/// not known. How many clicks wait in the buffer now; none if it was not touched.
pub fn add(
    tx: &Connection,
    visits: Visits<'_>,
    turns: &mut Turns<'_>,
) -> rusqlite::Result<Option<u64>> {
    add_within(LIMITS, tx, visits, turns)
}

/// The same with clicks that were not taken down yet.
pub fn add_all<'a>(
    tx: &'a Connection,
    clicks: &'a [Counted],
    turns: &mut Turns<'_>,
) -> rusqlite::Result<Option<u64>> {
    let mut visits = Visits::with_room(tx, clicks.len());
    clicks
        .iter()
        .try_for_each(|counted| visits.take_down(counted))?;
    add(tx, visits, turns)
}

fn add_within(
    limits: Limits,
    tx: &Connection,
    mut visits: Visits<'_>,
    turns: &mut Turns<'_>,
) -> rusqlite::Result<Option<u64>> {
    visits.sort(turns);
    let mut counting = Counting {
        accounts: visits.take_accounts(),
        ..Counting::new(tx)?
    };
    let mut filling = if visits.len() < limits.large {
        None
    } else {
        Some(Filling::begin(Ranges::open(tx, turns)?, limits)?)
    };
    // In the order of the table.
    let (mut by_link, mut of_link) = (visits.by_link(), Vec::new());
    while by_link.next(&mut of_link) {
        turns.rest();
        match &mut filling {
            Some(filling) if of_link.len() < limits.dense => {
                if filling.is_complete(of_link[0].link) {
                    put_down(filling, &mut counting, &visits, turns)?;
                }
                filling.hold(&of_link);
            }
            _ => {
                let (owner_id, code) = visits.sources().of(&of_link[0]);
                counting.count(&of_link, owner_id, code)?;
            }
        }
    }
    let mut waiting = None;
    if let Some(mut filling) = filling {
        put_down(&mut filling, &mut counting, &visits, turns)?;
        let mut ranges = filling.end();
        ranges.leave(limits.waiting, |waited| {
            counting.count_waited(waited, turns)
        })?;
        ranges.save(turns)?;
        waiting = Some(ranges.waiting());
    }
    counting.accounts.save(tx)?;
    Ok(waiting)
}

fn put_down(
    filling: &mut Filling<'_>,
    counting: &mut Counting<'_>,
    visits: &Visits<'_>,
    turns: &mut Turns<'_>,
) -> rusqlite::Result<()> {
    counting.count_waited(&filling.make_room()?, turns)?;
    filling.put_down(visits.sources(), turns)
}

/// Brings some `limit` of the clicks that wait to their pages, where most wait first. How many wait
/// still.
pub fn settle(tx: &Connection, limit: u64, turns: &mut Turns<'_>) -> rusqlite::Result<u64> {
    let mut counting = Counting::new(tx)?;
    let mut ranges = Ranges::open(tx, turns)?;
    let left = ranges.waiting().saturating_sub(limit);
    ranges.leave(left, |waited| counting.count_waited(waited, turns))?;
    ranges.save(turns)?;
    counting.accounts.save(tx)?;
    Ok(ranges.waiting())
}

/// How many clicks wait in the buffer.
pub fn waiting(tx: &Connection) -> rusqlite::Result<u64> {
    Ok(Ranges::open(tx, &mut Turns::without_rest())?.waiting())
}

/// Brings the clicks of one account that wait to their pages, those of at most `limit` ranges of
/// links; whether there were any.
pub fn settle_account(tx: &Connection, owner_id: Uuid, limit: usize) -> rusqlite::Result<bool> {
    let numbers = buffer::ranges_of_account(tx, owner_id, limit)?;
    let (mut counting, mut turns) = (Counting::new(tx)?, Turns::without_rest());
    let mut ranges = Ranges::open(tx, &mut turns)?;
    for &number in &numbers {
        counting.count_waited(&ranges.take(number)?, &mut turns)?;
    }
    ranges.save(&mut turns)?;
    counting.accounts.save(tx)?;
    Ok(!numbers.is_empty())
}

/// Counts in a transaction.
struct Counting<'a> {
    tx: &'a Connection,
    pages: Pages<'a>,
    visitors: Visitors,
    accounts: account_totals::Sums,
}

impl<'a> Counting<'a> {
    fn new(tx: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            tx,
            pages: Pages::new(tx)?,
            visitors: Visitors::default(),
            accounts: account_totals::Sums::default(),
        })
    }

    /// Brings the visits of one link to its pages. Its account gets the new visitors; the clicks it
    /// has got when they came.
    fn count(&mut self, visits: &[Visit], owner_id: Uuid, code: &str) -> rusqlite::Result<()> {
        let link_id = visits[0].link_id();
        let mut pages = self.pages.of_link(link_id);
        let visitors = add_visits(&mut pages, &mut self.visitors, visits)?;
        if pages.save()? {
            add_link(self.tx, link_id, owner_id, code)?;
        }
        let new = Totals {
            visitors,
            ..Totals::default()
        };
        self.accounts.add(owner_id, &new);
        Ok(())
    }

    fn count_waited(&mut self, waited: &Waited, turns: &mut Turns<'_>) -> rusqlite::Result<()> {
        for of_link in waited.visits.chunk_by(|one, other| one.link == other.link) {
            turns.rest();
            let (owner_id, code) = waited.sources.of(&of_link[0]);
            self.count(of_link, owner_id, code)?;
        }
        Ok(())
    }
}

/// Adds visits to the pages of their link; how many visitors are new.
fn add_visits(
    pages: &mut LinkPages<'_, '_>,
    visitors: &mut Visitors,
    visits: &[Visit],
) -> rusqlite::Result<u64> {
    let mut totals = Totals::of(visits);
    totals.visitors = visitors.add(pages, visits)?;
    for visit in visits {
        let quarter = visit.at_ms.div_euclid(BUCKET_MS);
        pages.add(Key::bucket(quarter, visit.sort()), 1)?;
        // Only people are broken down by what their browser says; the kind of all.
        let first = if visit.sort() == Sort::Human { 1 } else { 7 };
        for dimension in first..=7 {
            let label = visit.labels[usize::from(dimension) - 1];
            pages.add(Key::breakdown(dimension, label.into()), 1)?;
        }
    }
    add_totals(pages, &totals)?;
    Ok(totals.visitors)
}

/// The human visitors of clicks of one link, by day; kept from link to link for its memory.
#[derive(Default)]
struct Visitors {
    all: Vec<(i64, u64)>,
    new: Vec<(i64, u64)>,
}

impl Visitors {
    /// Adds those who are new; how many are. The visitors of a busy link lie on many pages, each in
    /// any of them: in their order, each page is read once, and one at a time is kept.
    fn add(&mut self, pages: &mut LinkPages<'_, '_>, visits: &[Visit]) -> rusqlite::Result<u64> {
        let humans = visits
            .iter()
            .filter(|visit| visit.sort() == Sort::Human)
            .map(|visit| (visit.at_ms.div_euclid(DAY_MS), visit.visitor));
        self.all.clear();
        self.all.extend(humans);
        self.all.sort_unstable();
        self.all.dedup();
        self.new.clear();
        let mut new = 0;
        for &(day, visitor) in &self.all {
            let key = Key::visitor(day, visitor);
            pages.let_go_before(key)?;
            if !pages.add(key, 1)? {
                continue;
            }
            new += 1;
            match self.new.last_mut() {
                Some((last, visitors)) if *last == day => *visitors += 1,
                _ => self.new.push((day, 1)),
            }
        }
        for &(day, visitors) in &self.new {
            pages.add(Key::day(day), visitors)?;
        }
        Ok(new)
    }
}

/// Adds to the sums of a link.
fn add_totals(pages: &mut LinkPages<'_, '_>, totals: &Totals) -> rusqlite::Result<()> {
    let sums = [
        (Total::Humans, totals.humans),
        (Total::Bots, totals.bots),
        (Total::Others, totals.others),
        (Total::Visitors, totals.visitors),
    ];
    for (total, more) in sums {
        if more > 0 {
            pages.add(Key::total(total), more)?;
        }
    }
    if let (Some(first), Some(last)) = (totals.first_click_at_ms, totals.last_click_at_ms) {
        let (first, last) = (first.max(0).unsigned_abs(), last.max(0).unsigned_abs());
        pages.change(Key::total(Total::FirstClick), first, |at| at.min(first))?;
        pages.change(Key::total(Total::LastClick), last, |at| at.max(last))?;
    }
    Ok(())
}

fn add_link(tx: &Connection, link_id: Uuid, owner_id: Uuid, code: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT OR IGNORE INTO link (link_id, owner_id, code) VALUES (?, ?, ?)")?
        .execute(params![link_id, owner_id, code])?;
    Ok(())
}

#[cfg(test)]
mod tests;
