use rusqlite::{Connection, OptionalExtension as _};
use uuid::Uuid;

use super::key::{Key, Sort, Total, kind};
use super::link_pages::{OF_RANGE, Pages, unreadable};
use super::visits::Visit;
use super::{Visitors, add_visits, buffer, page};

/// The sums of a link, or of all links of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Clicks of people.
    pub humans: u64,
    /// Clicks of bots.
    pub bots: u64,
    /// HEAD requests, previews and prefetches, which are no clicks.
    pub others: u64,
    /// Sum of each day's distinct human visitors.
    pub visitors: u64,
    /// When the first click was, in milliseconds since 1970.
    pub first_click_at_ms: Option<i64>,
    /// When the last click was, in milliseconds since 1970.
    pub last_click_at_ms: Option<i64>,
}

impl Totals {
    /// The sums of visits, but for their visitors: how many of those are new only the pages know.
    pub(super) fn of(visits: &[Visit]) -> Self {
        let mut totals = Self::default();
        for visit in visits {
            totals.count(visit.sort(), visit.at_ms);
        }
        totals
    }

    fn count(&mut self, sort: Sort, at_ms: i64) {
        match sort {
            Sort::Human => self.humans += 1,
            Sort::Bot => self.bots += 1,
            Sort::Other => {
                self.others += 1;
                return;
            }
        }
        self.first_click_at_ms = Some(self.first_click_at_ms.map_or(at_ms, |at| at.min(at_ms)));
        self.last_click_at_ms = Some(self.last_click_at_ms.map_or(at_ms, |at| at.max(at_ms)));
    }

    /// Adds the sums of another link.
    pub fn add(&mut self, other: &Self) {
        self.humans += other.humans;
        self.bots += other.bots;
        self.others += other.others;
        self.visitors += other.visitors;
        let earlier = [self.first_click_at_ms, other.first_click_at_ms];
        self.first_click_at_ms = earlier.into_iter().flatten().min();
        self.last_click_at_ms = self.last_click_at_ms.max(other.last_click_at_ms);
    }

    /// Takes a counter in, if it is one of these sums.
    pub fn set(&mut self, key: Key, value: u64) {
        let time = || Some(i64::try_from(value).unwrap_or(i64::MAX));
        for (total, sum) in [
            (Total::Humans, &mut self.humans),
            (Total::Bots, &mut self.bots),
            (Total::Others, &mut self.others),
            (Total::Visitors, &mut self.visitors),
        ] {
            if key == Key::total(total) {
                *sum = value;
            }
        }
        if key == Key::total(Total::FirstClick) {
            self.first_click_at_ms = time();
        } else if key == Key::total(Total::LastClick) {
            self.last_click_at_ms = time();
        }
    }
}

/// The sums of a link: they stand on its first page.
pub fn totals(connection: &Connection, link_id: Uuid) -> rusqlite::Result<Totals> {
    let mut totals = Totals::default();
    let waiting = buffer::of_link(connection, link_id)?;
    if !waiting.is_empty() {
        let (from, to) = Key::all_of(kind::TOTAL);
        let set = |key, value| totals.set(key, value);
        each_with(connection, &waiting, from, to, set)?;
        return Ok(totals);
    }
    connection
        .prepare_cached("SELECT page FROM counter WHERE link_id = ?1 AND first = x''")?
        .query_row([link_id], |row| {
            let page = row.get_ref(0)?.as_blob()?;
            page::walk(page, |key, value| totals.set(key, value)).map_err(unreadable)
        })
        .optional()?;
    Ok(totals)
}

/// Calls `visit` for each counter of a link from the key `from` on and below `to`, in order.
pub fn each(
    connection: &Connection,
    link_id: Uuid,
    from: Key,
    to: Key,
    mut visit: impl FnMut(Key, u64),
) -> rusqlite::Result<()> {
    let waiting = buffer::of_link(connection, link_id)?;
    if !waiting.is_empty() {
        return each_with(connection, &waiting, from, to, visit);
    }
    let mut pages = connection.prepare_cached(OF_RANGE)?;
    let mut rows = pages.query((link_id, from.to_bytes(), to.to_bytes()))?;
    while let Some(row) = rows.next()? {
        let page = row.get_ref(1)?.as_blob()?;
        page::walk(page, |key, value| {
            if from <= key && key < to {
                visit(key, value);
            }
        })
        .map_err(unreadable)?;
    }
    Ok(())
}

/// The same as if these visits of the link, which wait, were counted now.
fn each_with(
    connection: &Connection,
    waiting: &[Visit],
    from: Key,
    to: Key,
    visit: impl FnMut(Key, u64),
) -> rusqlite::Result<()> {
    let mut pages = Pages::new(connection)?;
    let mut pages = pages.of_link_unwritten(waiting[0].link_id());
    add_visits(&mut pages, &mut Visitors::default(), waiting)?;
    pages.each(from, to, visit)
}
