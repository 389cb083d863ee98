use std::cmp::Reverse;

use rusqlite::Connection;
use uuid::Uuid;

use crate::domain::{BreakdownCursor, Dimension};
use crate::store::counters::{self, Key, kind};
use crate::store::labels;

/// One value of a dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakdownRow {
    /// The value; empty for unknown or none.
    pub value: String,
    /// How often it came.
    pub clicks: u64,
}

/// The number under which a dimension is stored.
fn number(dimension: Dimension) -> u8 {
    match dimension {
        Dimension::Referrer => 1,
        Dimension::Country => 2,
        Dimension::Browser => 3,
        Dimension::Os => 4,
        Dimension::Device => 5,
        Dimension::Language => 6,
        Dimension::Kind => 7,
    }
}

/// The values of a dimension from the most frequent to the least, at most `limit`, behind `after`.
pub fn breakdown(
    connection: &Connection,
    link_id: Uuid,
    dimension: Dimension,
    after: Option<&BreakdownCursor>,
    limit: usize,
) -> rusqlite::Result<Vec<BreakdownRow>> {
    let (from, to) = Key::all_of(kind::BREAKDOWN + number(dimension));
    let most = after.map_or(u64::MAX, |after| after.clicks);
    let mut counts: Vec<(u64, i64)> = Vec::new();
    counters::each(connection, link_id, from, to, |key, clicks| {
        if clicks <= most {
            counts.push((clicks, key.number()));
        }
    })?;
    // The texts are looked up for as many as the page may hold, and for those that come as often as
    // its first or its last one: among equals the text decides.
    counts.sort_unstable_by_key(|&(clicks, _)| Reverse(clicks));
    let before = counts.partition_point(|&(clicks, _)| clicks >= most);
    let last = counts
        .get(before.saturating_add(limit))
        .map_or(0, |&(clicks, _)| clicks);
    let end = counts.partition_point(|&(clicks, _)| clicks >= last);
    let mut rows = Vec::with_capacity(end);
    for &(clicks, label) in &counts[..end] {
        let value = labels::text(connection, label)?.unwrap_or_default();
        let is_behind = after.is_none_or(|after| clicks < after.clicks || value > after.value);
        if is_behind {
            rows.push(BreakdownRow { value, clicks });
        }
    }
    rows.sort_unstable_by(|one, other| {
        (Reverse(one.clicks), &one.value).cmp(&(Reverse(other.clicks), &other.value))
    });
    rows.truncate(limit);
    Ok(rows)
}
