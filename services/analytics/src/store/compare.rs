//! Compares the counters of this database (`main`) with those of another one (`beside`).
//!
//! Both are read once, link by link. Counters may lie on other pages there, and labels have other
//! numbers: what counts is the key, with the text of its label.

mod link_counters;

use rusqlite::Connection;
use uuid::Uuid;

use super::counters::{Key, Totals as Sums, kind};
use link_counters::LinkCounters;

/// Links that are named when they differ.
const NAMED: usize = 20;

/// What the comparison found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The sums of this database.
    pub now: Totals,
    /// The sums of the other one.
    pub rebuilt: Totals,
    /// What is counted, and how much of it has no equal in the other database, both ways.
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
/// writes the other one; and no clicks wait in their buffers.
pub fn compare(tx: &Connection) -> rusqlite::Result<Comparison> {
    let mut found = Found::default();
    found.links(tx)?;
    found.now.missing = missing(tx, "main")?;
    found.rebuilt.missing = missing(tx, "beside")?;
    let of = |kind: u8| found.unmatched[usize::from(kind)];
    let differences = vec![
        ("link", of(kind::TOTAL)),
        ("bucket", of(kind::BUCKET)),
        (
            "breakdown",
            (1..=7)
                .map(|dimension| of(kind::BREAKDOWN + dimension))
                .sum(),
        ),
        ("visitor", of(kind::VISITOR)),
        ("visitor_day", of(kind::DAY)),
        ("account", both_ways(tx, accounts_unmatched)?),
        ("spool", both_ways(tx, spools_unmatched)?),
        ("gap", both_ways(tx, gaps_unmatched)?),
    ];
    Ok(Comparison {
        now: found.now,
        rebuilt: found.rebuilt,
        differences,
        links: found.differing.into_iter().map(|(_, link)| link).collect(),
        numbers_lost: numbers_lost(tx)?,
    })
}

/// What the walk over both databases has found so far.
struct Found {
    now: Totals,
    rebuilt: Totals,
    /// Counters without an equal, by kind.
    unmatched: [i64; 256],
    /// The links whose sums differ most, and by how many clicks.
    differing: Vec<(u64, LinkDifference)>,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            now: Totals::default(),
            rebuilt: Totals::default(),
            unmatched: [0; 256],
            differing: Vec::new(),
        }
    }
}

impl Found {
    /// Walks over the links of both, in their order.
    fn links(&mut self, tx: &Connection) -> rusqlite::Result<()> {
        let labels = link_counters::labels_as_in_main(tx)?;
        let (mut main, mut beside) = (
            tx.prepare("SELECT link_id, page FROM main.counter ORDER BY link_id, first")?,
            tx.prepare("SELECT link_id, page FROM beside.counter ORDER BY link_id, first")?,
        );
        let mut main = LinkCounters::new(main.query([])?, None)?;
        let mut beside = LinkCounters::new(beside.query([])?, Some(&labels))?;
        loop {
            let link_id = match (main.link_id(), beside.link_id()) {
                (None, None) => return Ok(()),
                (one, other) => one.into_iter().chain(other).min(),
            };
            let Some(link_id) = link_id else {
                return Ok(());
            };
            let now = main.take(link_id)?;
            let rebuilt = beside.take(link_id)?;
            self.link(tx, link_id, &now, &rebuilt)?;
        }
    }

    fn link(
        &mut self,
        tx: &Connection,
        link_id: Uuid,
        now: &[(Key, u64)],
        rebuilt: &[(Key, u64)],
    ) -> rusqlite::Result<()> {
        let (now_sums, rebuilt_sums) = (sums(now), sums(rebuilt));
        add(&mut self.now, &now_sums);
        add(&mut self.rebuilt, &rebuilt_sums);
        if now == rebuilt {
            return Ok(());
        }
        self.count_unmatched(now, rebuilt);
        self.count_unmatched(rebuilt, now);
        let (now, rebuilt) = (of_link(&now_sums), of_link(&rebuilt_sums));
        if now == rebuilt {
            return Ok(());
        }
        let by = now.humans.abs_diff(rebuilt.humans) + now.bots.abs_diff(rebuilt.bots);
        let least = self.differing.last().map_or(0, |last| last.0);
        if self.differing.len() < NAMED || by > least {
            let code = code(tx, link_id)?;
            let at = self
                .differing
                .partition_point(|(more, link)| *more > by || *more == by && link.code < code);
            self.differing
                .insert(at, (by, LinkDifference { code, now, rebuilt }));
            self.differing.truncate(NAMED);
        }
        Ok(())
    }

    /// Counts what is here and not there. Of a link's sums, which belong together, one.
    fn count_unmatched(&mut self, here: &[(Key, u64)], there: &[(Key, u64)]) {
        let mut has_total = false;
        for entry in here
            .iter()
            .filter(|entry| there.binary_search(entry).is_err())
        {
            let kind = entry.0.kind();
            if kind != kind::TOTAL || !std::mem::replace(&mut has_total, true) {
                self.unmatched[usize::from(kind)] += 1;
            }
        }
    }
}

fn sums(counters: &[(Key, u64)]) -> Sums {
    let mut sums = Sums::default();
    for &(key, value) in counters {
        sums.set(key, value);
    }
    sums
}

fn of_link(sums: &Sums) -> Totals {
    let mut totals = Totals::default();
    add(&mut totals, sums);
    totals
}

fn add(totals: &mut Totals, sums: &Sums) {
    totals.humans += sums.humans.cast_signed();
    totals.bots += sums.bots.cast_signed();
    totals.others += sums.others.cast_signed();
    totals.visitors += sums.visitors.cast_signed();
}

fn code(tx: &Connection, link_id: Uuid) -> rusqlite::Result<String> {
    tx.prepare_cached(
        "SELECT code FROM main.link WHERE link_id = ?1
         UNION ALL SELECT code FROM beside.link WHERE link_id = ?1 LIMIT 1",
    )?
    .query_row([link_id], |row| row.get(0))
}

fn both_ways(
    tx: &Connection,
    unmatched: impl Fn(&Connection, &str, &str) -> rusqlite::Result<i64>,
) -> rusqlite::Result<i64> {
    Ok(unmatched(tx, "main", "beside")? + unmatched(tx, "beside", "main")?)
}

fn accounts_unmatched(tx: &Connection, one: &str, other: &str) -> rusqlite::Result<i64> {
    number(
        tx,
        &format!(
            "SELECT count(*) FROM (SELECT * FROM {one}.account EXCEPT SELECT * FROM {other}.account)"
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

fn missing(tx: &Connection, database: &str) -> rusqlite::Result<i64> {
    let sql = format!("SELECT coalesce(sum(last - first + 1), 0) FROM {database}.gap");
    number(tx, &sql)
}

fn number(tx: &Connection, sql: &str) -> rusqlite::Result<i64> {
    tx.query_row(sql, [], |row| row.get(0))
}

#[cfg(test)]
mod tests;
