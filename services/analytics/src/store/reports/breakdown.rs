use rusqlite::Connection;

use crate::domain::{BreakdownCursor, Dimension};

/// One value of a dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakdownRow {
    /// The value; empty for unknown or none.
    pub value: String,
    /// How often it came.
    pub clicks: u64,
}

/// The number under which a dimension is stored.
fn number(dimension: Dimension) -> i64 {
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
    link: i64,
    dimension: Dimension,
    after: Option<&BreakdownCursor>,
    limit: usize,
) -> rusqlite::Result<Vec<BreakdownRow>> {
    // Without a cursor: no count is greater than the greatest number.
    let clicks = after.map_or(i64::MAX, |after| {
        i64::try_from(after.clicks).unwrap_or(i64::MAX)
    });
    let value = after.map_or("", |after| after.value.as_str());
    connection
        .prepare_cached(
            "SELECT label.text, breakdown.clicks
             FROM breakdown JOIN label ON label.id = breakdown.label
             WHERE breakdown.link = ?1 AND breakdown.dimension = ?2
               AND (breakdown.clicks < ?3 OR (breakdown.clicks = ?3 AND label.text > ?4))
             ORDER BY breakdown.clicks DESC, label.text LIMIT ?5",
        )?
        .query_map((link, number(dimension), clicks, value, limit), |row| {
            Ok(BreakdownRow {
                value: row.get(0)?,
                clicks: row.get(1)?,
            })
        })?
        .collect()
}
