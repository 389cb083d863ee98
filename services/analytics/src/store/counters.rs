//! The counters: what a set of clicks adds up to, written in the order of the keys.

use rusqlite::{Connection, params};

use super::labels;
use crate::ingest::sums::Sums;

/// Adds `sums` to the counters.
pub fn add(tx: &Connection, sums: &Sums<'_>) -> rusqlite::Result<()> {
    let links = add_links(tx, sums)?;
    let labels = labels::intern(tx, sums.labels())?;
    add_buckets(tx, sums, &links)?;
    add_breakdowns(tx, sums, &links, &labels)?;
    add_visitors(tx, sums, &links)
}

/// Adds the totals, makes the rows of links that were not known; the row id of each link.
fn add_links(tx: &Connection, sums: &Sums<'_>) -> rusqlite::Result<Vec<i64>> {
    let mut upsert = tx.prepare_cached(
        "INSERT INTO link (link_id, owner_id, code, humans, bots, others,
                           first_click_at_ms, last_click_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (link_id) DO UPDATE SET
             humans = humans + excluded.humans,
             bots = bots + excluded.bots,
             others = others + excluded.others,
             first_click_at_ms = min(
                 coalesce(first_click_at_ms, excluded.first_click_at_ms),
                 coalesce(excluded.first_click_at_ms, first_click_at_ms)),
             last_click_at_ms = max(
                 coalesce(last_click_at_ms, excluded.last_click_at_ms),
                 coalesce(excluded.last_click_at_ms, last_click_at_ms))
         RETURNING id",
    )?;
    let mut order: Vec<usize> = (0..sums.links().len()).collect();
    order.sort_unstable_by_key(|&index| sums.links()[index].link_id);
    let mut ids = vec![0; order.len()];
    for index in order {
        let link = &sums.links()[index];
        let counts = link.counts;
        ids[index] = upsert.query_row(
            params![
                link.link_id,
                link.owner_id,
                link.code,
                counts.humans,
                counts.bots,
                counts.others,
                link.first_click_at_ms,
                link.last_click_at_ms,
            ],
            |row| row.get(0),
        )?;
    }
    Ok(ids)
}

fn add_buckets(tx: &Connection, sums: &Sums<'_>, links: &[i64]) -> rusqlite::Result<()> {
    let mut rows: Vec<_> = sums
        .buckets()
        .map(|(link, at, counts)| (links[link], at, counts))
        .collect();
    rows.sort_unstable_by_key(|&(link, at, _)| (link, at));
    let mut upsert = tx.prepare_cached(
        "INSERT INTO bucket (link, at, humans, bots, others) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (link, at) DO UPDATE SET
             humans = humans + excluded.humans,
             bots = bots + excluded.bots,
             others = others + excluded.others",
    )?;
    for (link, at, counts) in rows {
        upsert.execute(params![link, at, counts.humans, counts.bots, counts.others])?;
    }
    Ok(())
}

fn add_breakdowns(
    tx: &Connection,
    sums: &Sums<'_>,
    links: &[i64],
    labels: &[i64],
) -> rusqlite::Result<()> {
    let mut rows: Vec<_> = sums
        .parts()
        .iter()
        .map(|part| (links[part.link], part.dimension, labels[part.label]))
        .collect();
    rows.sort_unstable();
    let mut upsert = tx.prepare_cached(
        "INSERT INTO breakdown (link, dimension, label, clicks) VALUES (?, ?, ?, ?)
         ON CONFLICT (link, dimension, label) DO UPDATE SET clicks = clicks + excluded.clicks",
    )?;
    for same in rows.chunk_by(|one, other| one == other) {
        let (link, dimension, label) = same[0];
        upsert.execute(params![link, dimension, label, same.len()])?;
    }
    Ok(())
}

fn add_visitors(tx: &Connection, sums: &Sums<'_>, links: &[i64]) -> rusqlite::Result<()> {
    let mut rows: Vec<_> = sums
        .visits()
        .iter()
        .map(|visit| (links[visit.link], visit.day, visit.visitor))
        .collect();
    rows.sort_unstable();
    rows.dedup();
    let mut insert =
        tx.prepare_cached("INSERT OR IGNORE INTO visitor (link, day, visitor) VALUES (?, ?, ?)")?;
    let mut upsert = tx.prepare_cached(
        "INSERT INTO visitor_day (link, day, visitors) VALUES (?, ?, ?)
         ON CONFLICT (link, day) DO UPDATE SET visitors = visitors + excluded.visitors",
    )?;
    let mut total = tx.prepare_cached("UPDATE link SET visitors = visitors + ? WHERE id = ?")?;
    for same in rows.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
        let mut new = 0;
        for visit in same {
            new += insert.execute(*visit)?;
        }
        if new > 0 {
            upsert.execute(params![same[0].0, same[0].1, new])?;
            total.execute(params![new, same[0].0])?;
        }
    }
    Ok(())
}
