//! The counters of links, packed into pages.
//!
//! A click changes about ten numbers of its link. As rows of their own they would lie on as many
//! pages of the file, and each of those is written for each click; so all numbers of a link lie
//! together, sorted by key, in as few rows as hold them: one, for almost every link.

mod key;
mod link_pages;
mod pack;
pub mod page;
mod unpack;
mod visits;

use rusqlite::{Connection, params};
use uuid::Uuid;

pub use key::{Key, Sort, Total, kind};
pub(super) use link_pages::unreadable;
use link_pages::{LinkPages, Pages};
pub use pack::pack_rows;
pub use unpack::{Totals, each, totals};
use visits::{Visit, Visits};

use crate::ingest::set::Counted;
use crate::ingest::turns::Turns;
use crate::rules::Kind;
use crate::store::account_totals;

/// Milliseconds in a bucket: a quarter of an hour, because every time zone's hours begin on one.
pub const BUCKET_MS: i64 = 15 * 60 * 1_000;
/// Milliseconds in a UTC day, the time for which a visitor's hash holds.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Adds clicks, in any order, to the counters of their links and accounts, and makes the rows of
/// links that were not known.
pub fn add<'a>(
    tx: &Connection,
    clicks: impl IntoIterator<Item = &'a Counted>,
    turns: &mut Turns<'_>,
) -> rusqlite::Result<()> {
    let visits = Visits::take_down(tx, clicks, turns)?;
    let mut pages = Pages::new(tx)?;
    let mut accounts = account_totals::Sums::default();
    let mut visitors = Visitors::default();
    // In the order of the table.
    let (mut by_link, mut of_link) = (visits.by_link(), Vec::new());
    while by_link.next(&mut of_link) {
        turns.rest();
        let click = visits.click(&of_link[0]);
        let mut pages = pages.of_link(click.link_id);
        let mut totals = Totals::default();
        visitors.add(&mut pages, &mut totals, &of_link)?;
        for visit in &of_link {
            add_one(&mut pages, &mut totals, &visits, visit)?;
        }
        add_totals(&mut pages, &totals)?;
        if pages.save()? {
            add_link(tx, click.link_id, click.owner_id, &click.code)?;
        }
        accounts.add(click.owner_id, &totals);
    }
    accounts.save(tx)
}

/// Adds one click. Only people are broken down by what their browser says; the kind of all.
fn add_one(
    pages: &mut LinkPages<'_, '_>,
    totals: &mut Totals,
    visits: &Visits<'_>,
    visit: &Visit,
) -> rusqlite::Result<()> {
    let sort = match visit.kind {
        Kind::Human => Sort::Human,
        Kind::Bot => Sort::Bot,
        Kind::Preview | Kind::Prefetch | Kind::Head => Sort::Other,
    };
    totals.count(sort, visit.at_ms);
    pages.add(Key::bucket(visit.at_ms.div_euclid(BUCKET_MS), sort), 1)?;
    pages.add(Key::breakdown(7, visits.kind(visit).into()), 1)?;
    if sort != Sort::Human {
        return Ok(());
    }
    for (label, dimension) in visits.said(visit).into_iter().zip(1..) {
        pages.add(Key::breakdown(dimension, label.into()), 1)?;
    }
    Ok(())
}

/// The human visitors of clicks of one link, by day; kept from link to link for its memory.
#[derive(Default)]
struct Visitors {
    all: Vec<(i64, u64)>,
    new: Vec<(i64, u64)>,
}

impl Visitors {
    /// Adds those who are new. The visitors of a busy link lie on many pages, each in any of them: in
    /// their order, each page is read once, and one at a time is kept.
    fn add(
        &mut self,
        pages: &mut LinkPages<'_, '_>,
        totals: &mut Totals,
        visits: &[Visit],
    ) -> rusqlite::Result<()> {
        let humans = visits
            .iter()
            .filter(|visit| visit.kind == Kind::Human)
            .map(|visit| (visit.at_ms.div_euclid(DAY_MS), visit.visitor));
        self.all.clear();
        self.all.extend(humans);
        self.all.sort_unstable();
        self.all.dedup();
        self.new.clear();
        for &(day, visitor) in &self.all {
            let key = Key::visitor(day, visitor);
            pages.let_go_before(key)?;
            if !pages.add(key, 1)? {
                continue;
            }
            totals.visitors += 1;
            match self.new.last_mut() {
                Some((last, visitors)) if *last == day => *visitors += 1,
                _ => self.new.push((day, 1)),
            }
        }
        for &(day, visitors) in &self.new {
            pages.add(Key::day(day), visitors)?;
        }
        Ok(())
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
