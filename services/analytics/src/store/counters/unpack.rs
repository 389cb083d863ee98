use rusqlite::{Connection, OptionalExtension as _};
use uuid::Uuid;

use super::key::{Key, Sort, Total};
use super::link_pages::unreadable;
use super::page;

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
    /// Adds a visit.
    pub(super) fn count(&mut self, sort: Sort, at_ms: i64) {
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
    let mut pages = connection.prepare_cached(
        "SELECT page FROM counter WHERE link_id = ?1 AND first < ?3 AND first >= (
             SELECT first FROM counter WHERE link_id = ?1 AND first <= ?2
             ORDER BY first DESC LIMIT 1)
         ORDER BY first",
    )?;
    let mut rows = pages.query((link_id, from.to_bytes(), to.to_bytes()))?;
    while let Some(row) = rows.next()? {
        let page = row.get_ref(0)?.as_blob()?;
        page::walk(page, |key, value| {
            if from <= key && key < to {
                visit(key, value);
            }
        })
        .map_err(unreadable)?;
    }
    Ok(())
}
