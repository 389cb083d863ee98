//! Compares the counters of this database (`main`) with those of another one (`beside`).
//!
//! Row ids differ between the two: links are matched by their link id, labels by their text.

use rusqlite::Connection;

/// Links that are named when they differ.
const NAMED: u32 = 20;

/// The tables of counters, and when two rows of one link are the same.
const TABLES: [(&str, &str); 4] = [
    (
        "bucket",
        "y.at = x.at AND (y.humans, y.bots, y.others) = (x.humans, x.bots, x.others)",
    ),
    (
        "breakdown",
        "y.dimension = x.dimension AND y.label = yt.id AND y.clicks = x.clicks",
    ),
    ("visitor", "y.day = x.day AND y.visitor = x.visitor"),
    ("visitor_day", "y.day = x.day AND y.visitors = x.visitors"),
];

/// What the comparison found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The sums of this database.
    pub now: Totals,
    /// The sums of the other one.
    pub rebuilt: Totals,
    /// Each table, and how many of its rows have no equal in the other database, both ways.
    pub differences: Vec<(&'static str, i64)>,
    /// Links whose totals differ, those that differ most first; not all of them.
    pub links: Vec<LinkDifference>,
    /// Numbers of spools that this database has seen and the other one has not.
    pub numbers_lost: i64,
}

/// Sums over all links, or of one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Clicks of people.
    pub humans: i64,
    /// Clicks of bots.
    pub bots: i64,
    /// What is no click.
    pub others: i64,
    /// Sum of each day's visitors.
    pub visitors: i64,
    /// Numbers in gaps, of all spools; 0 for one link.
    pub missing: i64,
}

/// One link in both databases.
#[derive(Debug, PartialEq, Eq)]
pub struct LinkDifference {
    /// Its code.
    pub code: String,
    /// In this database.
    pub now: Totals,
    /// In the other one.
    pub rebuilt: Totals,
}

impl Comparison {
    /// Whether both say the same.
    pub fn is_equal(&self) -> bool {
        self.differences.iter().all(|(_, rows)| *rows == 0)
    }
}

/// Compares. Both must stand still: this database is read in one transaction, and nobody else
/// writes the other one.
pub fn compare(tx: &Connection) -> rusqlite::Result<Comparison> {
    let mut differences = vec![("link", both_ways(tx, links_unmatched)?)];
    for (table, same) in TABLES {
        let unmatched = |tx: &Connection, one: &str, other: &str| {
            counters_unmatched(tx, one, other, table, same)
        };
        differences.push((table, both_ways(tx, unmatched)?));
    }
    differences.push(("spool", both_ways(tx, spools_unmatched)?));
    differences.push(("gap", both_ways(tx, gaps_unmatched)?));
    Ok(Comparison {
        now: totals(tx, "main")?,
        rebuilt: totals(tx, "beside")?,
        differences,
        links: differing_links(tx)?,
        numbers_lost: numbers_lost(tx)?,
    })
}

fn both_ways(
    tx: &Connection,
    unmatched: impl Fn(&Connection, &str, &str) -> rusqlite::Result<i64>,
) -> rusqlite::Result<i64> {
    Ok(unmatched(tx, "main", "beside")? + unmatched(tx, "beside", "main")?)
}

/// Links with counters whose totals are others there. One without any says nothing.
fn links_unmatched(tx: &Connection, one: &str, other: &str) -> rusqlite::Result<i64> {
    number(
        tx,
        &format!(
            "SELECT count(*) FROM {one}.link x
             WHERE x.humans + x.bots + x.others > 0 AND NOT EXISTS (
                 SELECT 1 FROM {other}.link y
                 WHERE y.link_id = x.link_id
                     AND (y.humans, y.bots, y.others, y.visitors)
                         = (x.humans, x.bots, x.others, x.visitors)
                     AND y.first_click_at_ms IS x.first_click_at_ms
                     AND y.last_click_at_ms IS x.last_click_at_ms)"
        ),
    )
}

/// Each row is looked up by its key, so that nothing is sorted or kept in memory.
fn counters_unmatched(
    tx: &Connection,
    one: &str,
    other: &str,
    table: &str,
    same: &str,
) -> rusqlite::Result<i64> {
    let labels = if table == "breakdown" {
        format!(
            "JOIN {one}.label xt ON xt.id = x.label
             LEFT JOIN {other}.label yt ON yt.text = xt.text"
        )
    } else {
        String::new()
    };
    number(
        tx,
        &format!(
            "SELECT count(*) FROM {one}.{table} x
             JOIN {one}.link xl ON xl.id = x.link
             LEFT JOIN {other}.link yl ON yl.link_id = xl.link_id
             {labels}
             WHERE NOT EXISTS (SELECT 1 FROM {other}.{table} y WHERE y.link = yl.id AND {same})"
        ),
    )
}

fn spools_unmatched(tx: &Connection, one: &str, other: &str) -> rusqlite::Result<i64> {
    number(
        tx,
        &format!(
            "SELECT count(*) FROM (SELECT * FROM {one}.spool EXCEPT SELECT * FROM {other}.spool)"
        ),
    )
}

fn gaps_unmatched(tx: &Connection, one: &str, other: &str) -> rusqlite::Result<i64> {
    let gaps = |database| format!("SELECT spool, first, last FROM {database}.gap");
    let sql = format!(
        "SELECT count(*) FROM ({} EXCEPT {})",
        gaps(one),
        gaps(other)
    );
    number(tx, &sql)
}

/// Numbers below the next one here that are, there, in no message that came: behind its next one,
/// or in a gap that is none here.
fn numbers_lost(tx: &Connection) -> rusqlite::Result<i64> {
    let behind = number(
        tx,
        "SELECT coalesce(sum(x.next - coalesce(y.next, 0)), 0)
         FROM main.spool x LEFT JOIN beside.spool y ON y.spool = x.spool
         WHERE x.next > coalesce(y.next, 0)",
    )?;
    // Of those, the ones in a gap here were not seen here either.
    let unseen_behind = number(
        tx,
        "SELECT coalesce(sum(x.last - max(x.first, coalesce(y.next, 0)) + 1), 0)
         FROM main.gap x LEFT JOIN beside.spool y ON y.spool = x.spool
         WHERE x.last >= coalesce(y.next, 0)",
    )?;
    let in_gaps = number(
        tx,
        "SELECT coalesce(sum(min(y.last, x.next - 1) - y.first + 1), 0)
         FROM beside.gap y JOIN main.spool x ON x.spool = y.spool
         WHERE y.first < x.next",
    )?;
    let in_both = number(
        tx,
        "SELECT coalesce(sum(min(x.last, y.last) - max(x.first, y.first) + 1), 0)
         FROM main.gap x JOIN beside.gap y
             ON y.spool = x.spool AND y.first <= x.last AND x.first <= y.last",
    )?;
    Ok(behind - unseen_behind + in_gaps - in_both)
}

fn totals(tx: &Connection, database: &str) -> rusqlite::Result<Totals> {
    let mut totals = tx.query_row(
        &format!(
            "SELECT coalesce(sum(humans), 0), coalesce(sum(bots), 0), coalesce(sum(others), 0),
                 coalesce(sum(visitors), 0)
             FROM {database}.link"
        ),
        [],
        |row| {
            Ok(Totals {
                humans: row.get(0)?,
                bots: row.get(1)?,
                others: row.get(2)?,
                visitors: row.get(3)?,
                missing: 0,
            })
        },
    )?;
    let sql = format!("SELECT coalesce(sum(last - first + 1), 0) FROM {database}.gap");
    totals.missing = number(tx, &sql)?;
    Ok(totals)
}

fn differing_links(tx: &Connection) -> rusqlite::Result<Vec<LinkDifference>> {
    tx.prepare(
        "SELECT coalesce(x.code, y.code),
             coalesce(x.humans, 0), coalesce(x.bots, 0), coalesce(x.others, 0),
             coalesce(x.visitors, 0),
             coalesce(y.humans, 0), coalesce(y.bots, 0), coalesce(y.others, 0),
             coalesce(y.visitors, 0)
         FROM main.link x FULL JOIN beside.link y ON y.link_id = x.link_id
         WHERE (coalesce(x.humans, 0), coalesce(x.bots, 0), coalesce(x.others, 0),
                coalesce(x.visitors, 0))
             <> (coalesce(y.humans, 0), coalesce(y.bots, 0), coalesce(y.others, 0),
                 coalesce(y.visitors, 0))
         ORDER BY abs(coalesce(x.humans, 0) - coalesce(y.humans, 0))
             + abs(coalesce(x.bots, 0) - coalesce(y.bots, 0)) DESC, 1
         LIMIT ?",
    )?
    .query_map([NAMED], |row| {
        let totals = |first: usize| {
            Ok::<_, rusqlite::Error>(Totals {
                humans: row.get(first)?,
                bots: row.get(first + 1)?,
                others: row.get(first + 2)?,
                visitors: row.get(first + 3)?,
                missing: 0,
            })
        };
        Ok(LinkDifference {
            code: row.get(0)?,
            now: totals(1)?,
            rebuilt: totals(5)?,
        })
    })?
    .collect()
}

fn number(tx: &Connection, sql: &str) -> rusqlite::Result<i64> {
    tx.query_row(sql, [], |row| row.get(0))
}

#[cfg(test)]
mod tests;
