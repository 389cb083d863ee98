use rusqlite::Connection;
use uuid::Uuid;

use crate::domain::Bucket;
use crate::store::counters::{self, BUCKET_MS, DAY_MS, Key, Sort};

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
    link_id: Uuid,
    buckets: &[Bucket],
) -> rusqlite::Result<Vec<Counts>> {
    let mut counts = vec![Counts::default(); buckets.len()];
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
        return Ok(counts);
    };
    let from = first.start.timestamp().as_millisecond();
    let to = last.end.as_millisecond();

    // Before 1970 there is nothing; every edge of a bucket lies on a quarter of an hour.
    let key = |at_ms| Key::bucket(at_ms / BUCKET_MS, Sort::Human);
    let mut at = Cursor::new(buckets);
    counters::each(connection, link_id, key(from), key(to), |key, clicks| {
        let (quarter, sort) = key.bucket_at();
        let count = &mut counts[at.index_of(quarter.saturating_mul(BUCKET_MS))];
        match sort {
            Some(Sort::Human) => count.humans += clicks,
            Some(Sort::Bot) => count.bots += clicks,
            Some(Sort::Other) | None => {}
        }
    })?;

    if buckets.iter().all(is_of_whole_days) {
        for count in &mut counts {
            count.visitors = Some(0);
        }
        let (first, behind) = (Key::day(from / DAY_MS), Key::day(to / DAY_MS));
        let mut at = Cursor::new(buckets);
        counters::each(connection, link_id, first, behind, |key, visitors| {
            let count = &mut counts[at.index_of(key.number().saturating_mul(DAY_MS))];
            *count.visitors.get_or_insert(0) += visitors;
        })?;
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
