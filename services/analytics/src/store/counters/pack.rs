use rusqlite::{Connection, Statement};

use super::key::{Key, Sort, Total};
use super::link_pages::{LinkPages, Pages};

/// Packs what older versions stored as a row for each counter.
pub fn pack_rows(tx: &Connection) -> rusqlite::Result<()> {
    let mut links = tx.prepare(
        "SELECT id, link_id, humans, bots, others, visitors, first_click_at_ms, last_click_at_ms
         FROM link WHERE humans + bots + others > 0 ORDER BY link_id",
    )?;
    let mut rows = Rows {
        breakdowns: tx.prepare("SELECT dimension, label, clicks FROM breakdown WHERE link = ?")?,
        buckets: tx.prepare("SELECT at, humans, bots, others FROM bucket WHERE link = ?")?,
        days: tx.prepare("SELECT day, visitors FROM visitor_day WHERE link = ?")?,
        visitors: tx.prepare("SELECT day, visitor FROM visitor WHERE link = ?")?,
    };
    let mut pages = Pages::new(tx)?;
    let mut links = links.query([])?;
    while let Some(row) = links.next()? {
        let link: i64 = row.get(0)?;
        let mut pages = pages.of_link(row.get(1)?);
        for (column, total) in [
            (2, Total::Humans),
            (3, Total::Bots),
            (4, Total::Others),
            (5, Total::Visitors),
            (6, Total::FirstClick),
            (7, Total::LastClick),
        ] {
            add(
                &mut pages,
                Key::total(total),
                row.get::<_, Option<u64>>(column)?.unwrap_or(0),
            )?;
        }
        rows.pack(link, &mut pages)?;
        pages.save()?;
    }
    Ok(())
}

/// The tables of counters.
struct Rows<'a> {
    breakdowns: Statement<'a>,
    buckets: Statement<'a>,
    days: Statement<'a>,
    visitors: Statement<'a>,
}

impl Rows<'_> {
    fn pack(&mut self, link: i64, pages: &mut LinkPages<'_, '_>) -> rusqlite::Result<()> {
        let mut breakdowns = self.breakdowns.query([link])?;
        while let Some(row) = breakdowns.next()? {
            add(pages, Key::breakdown(row.get(0)?, row.get(1)?), row.get(2)?)?;
        }
        let mut buckets = self.buckets.query([link])?;
        while let Some(row) = buckets.next()? {
            let at = row.get(0)?;
            for (column, sort) in [(1, Sort::Human), (2, Sort::Bot), (3, Sort::Other)] {
                add(pages, Key::bucket(at, sort), row.get(column)?)?;
            }
        }
        let mut days = self.days.query([link])?;
        while let Some(row) = days.next()? {
            add(pages, Key::day(row.get(0)?), row.get(1)?)?;
        }
        let mut visitors = self.visitors.query([link])?;
        while let Some(row) = visitors.next()? {
            let visitor: i64 = row.get(1)?;
            add(pages, Key::visitor(row.get(0)?, visitor.cast_unsigned()), 1)?;
        }
        Ok(())
    }
}

fn add(pages: &mut LinkPages<'_, '_>, key: Key, value: u64) -> rusqlite::Result<()> {
    if value > 0 {
        pages.add(key, value)?;
    }
    Ok(())
}
