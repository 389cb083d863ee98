use std::ops::AddAssign;

use rusqlite::Connection;

use crate::domain::Bucket;

/// Milliseconds of the quarter hours in which clicks are stored.
const QUARTER_MS: i64 = 15 * 60 * 1_000;
/// Milliseconds of the days in which visitors are stored (UTC).
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What one bucket holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Clicks of people.
    pub humans: u64,
    /// Clicks of bots.
    pub bots: u64,
    /// Sum of each day's distinct visitors; only where the bucket is made of whole UTC days.
    pub visitors: Option<u64>,
}

/// The counts of each of `buckets`, which follow one another without a hole.
pub fn series(
    connection: &Connection,
    link: i64,
    buckets: &[Bucket],
) -> rusqlite::Result<Vec<Counts>> {
    let mut counts = vec![Counts::default(); buckets.len()];
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
        return Ok(counts);
    };
    let from = first.start.timestamp().as_millisecond();
    let to = last.end.as_millisecond();

    let mut clicks = connection.prepare_cached(
        "SELECT at, humans, bots FROM bucket WHERE link = ?1 AND at >= ?2 AND at < ?3 ORDER BY at",
    )?;
    // Before 1970 there is nothing; every edge of a bucket lies on a quarter of an hour.
    let mut rows = clicks.query((link, from / QUARTER_MS, to / QUARTER_MS))?;
    let mut at = Cursor::new(buckets);
    while let Some(row) = rows.next()? {
        let index = at.index_of(row.get::<_, i64>(0)?.saturating_mul(QUARTER_MS));
        counts[index].humans.add_assign(row.get::<_, u64>(1)?);
        counts[index].bots.add_assign(row.get::<_, u64>(2)?);
    }

    if buckets.iter().all(is_of_whole_days) {
        for count in &mut counts {
            count.visitors = Some(0);
        }
        let mut visitors = connection.prepare_cached(
            "SELECT day, visitors FROM visitor_day
             WHERE link = ?1 AND day >= ?2 AND day < ?3 ORDER BY day",
        )?;
        let mut rows = visitors.query((link, from / DAY_MS, to / DAY_MS))?;
        let mut at = Cursor::new(buckets);
        while let Some(row) = rows.next()? {
            let index = at.index_of(row.get::<_, i64>(0)?.saturating_mul(DAY_MS));
            counts[index].visitors =
                Some(counts[index].visitors.unwrap_or(0) + row.get::<_, u64>(1)?);
        }
    }
    Ok(counts)
}

fn is_of_whole_days(bucket: &Bucket) -> bool {
    bucket.start.timestamp().as_millisecond() % DAY_MS == 0
        && bucket.end.as_millisecond() % DAY_MS == 0
}

/// Walks along the buckets with times that only rise.
struct Cursor<'a> {
    buckets: &'a [Bucket],
    index: usize,
}

impl<'a> Cursor<'a> {
    fn new(buckets: &'a [Bucket]) -> Self {
        Self { buckets, index: 0 }
    }

    /// The bucket that holds `at_ms`.
    fn index_of(&mut self, at_ms: i64) -> usize {
        while self.index + 1 < self.buckets.len()
            && self.buckets[self.index].end.as_millisecond() <= at_ms
        {
            self.index += 1;
        }
        self.index
    }
}
