//! What operations answer with.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Bucket, Dimension, Interval};
use crate::store::reports::{BreakdownRow, Counts, LinkRow, SummaryRow};

/// What the clicks of one link add up to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "code": "docs", "deleted": false, "clicks": 140, "humans": 120, "bots": 20, "visitors": 95,
    "first_click_at": "2026-11-01T09:12:44.031Z", "last_click_at": "2026-11-24T17:05:03.12Z"
}))]
pub struct LinkTotals {
    /// The link's code.
    code: String,
    /// Whether the link was deleted. Its statistics stay until its owner's account is closed.
    deleted: bool,
    /// Humans and bots together. Previews, prefetches and HEAD requests are in the breakdown by
    /// kind only.
    clicks: u64,
    /// Clicks of people.
    humans: u64,
    /// Clicks of crawlers, libraries and scripts.
    bots: u64,
    /// The sum of each day's (UTC) distinct people: nobody is recognised on another day.
    visitors: u64,
    /// When the first click was (RFC 3339, UTC); null before it.
    #[schema(value_type = Option<String>, format = DateTime)]
    first_click_at: Option<Timestamp>,
    /// When the last click was (RFC 3339, UTC); null before the first.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_click_at: Option<Timestamp>,
}

impl From<LinkRow> for LinkTotals {
    fn from(row: LinkRow) -> Self {
        Self {
            code: row.code,
            deleted: row.deleted,
            clicks: row.totals.humans + row.totals.bots,
            humans: row.totals.humans,
            bots: row.totals.bots,
            visitors: row.totals.visitors,
            first_click_at: timestamp(row.totals.first_click_at_ms),
            last_click_at: timestamp(row.totals.last_click_at_ms),
        }
    }
}

/// A page of links with their totals.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "items": [{
        "code": "docs", "deleted": false, "clicks": 140, "humans": 120, "bots": 20, "visitors": 95,
        "first_click_at": "2026-11-01T09:12:44.031Z", "last_click_at": "2026-11-24T17:05:03.12Z"
    }],
    "next_cursor": null
}))]
pub struct LinkTotalsPage {
    /// From the newest link to the oldest; with `codes` in the order of the codes.
    pub items: Vec<LinkTotals>,
    /// For the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// What the clicks of all your links add up to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "links": 12, "clicks": 1400, "humans": 1200, "bots": 200, "visitors": 950,
    "first_click_at": "2026-11-01T09:12:44.031Z", "last_click_at": "2026-11-24T17:05:03.12Z"
}))]
pub struct AnalyticsSummary {
    /// How many links you have. Those that were deleted are not among them, but their clicks are
    /// in all the sums.
    links: u64,
    /// Humans and bots together.
    clicks: u64,
    /// Clicks of people.
    humans: u64,
    /// Clicks of crawlers, libraries and scripts.
    bots: u64,
    /// The sum of each link's and each day's distinct people.
    visitors: u64,
    /// When the first click was (RFC 3339, UTC); null before it.
    #[schema(value_type = Option<String>, format = DateTime)]
    first_click_at: Option<Timestamp>,
    /// When the last click was (RFC 3339, UTC); null before the first.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_click_at: Option<Timestamp>,
}

impl From<SummaryRow> for AnalyticsSummary {
    fn from(row: SummaryRow) -> Self {
        Self {
            links: row.links,
            clicks: row.totals.humans + row.totals.bots,
            humans: row.totals.humans,
            bots: row.totals.bots,
            visitors: row.totals.visitors,
            first_click_at: timestamp(row.totals.first_click_at_ms),
            last_click_at: timestamp(row.totals.last_click_at_ms),
        }
    }
}

/// The clicks of one link over time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "interval": "day", "timezone": "Europe/Berlin",
    "items": [{
        "at": "2026-11-23T23:00:00Z", "local": "2026-11-24T00:00:00+01:00",
        "clicks": 14, "humans": 12, "bots": 2, "visitors": null
    }]
}))]
pub struct ClickSeries {
    /// The width of a bucket.
    pub interval: Interval,
    /// The time zone whose clock and calendar the buckets follow.
    pub timezone: String,
    /// The buckets in order, also the empty ones.
    pub items: Vec<SeriesItem>,
}

/// One bucket of a series.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesItem {
    /// When it begins (RFC 3339, UTC). It ends where the next one begins.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The same instant by the clock of the time zone.
    #[schema(value_type = String, format = DateTime)]
    local: String,
    /// Humans and bots together.
    clicks: u64,
    /// Clicks of people.
    humans: u64,
    /// Clicks of crawlers, libraries and scripts.
    bots: u64,
    /// The sum of each day's distinct people. Days are told apart in UTC: null where a bucket is
    /// not made of whole days of UTC.
    visitors: Option<u64>,
}

impl SeriesItem {
    /// A bucket and what it holds.
    pub fn new(bucket: &Bucket, counts: Counts) -> Self {
        Self {
            at: bucket.start.timestamp(),
            local: bucket.start.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            clicks: counts.humans + counts.bots,
            humans: counts.humans,
            bots: counts.bots,
            visitors: counts.visitors,
        }
    }
}

/// A page of what the clicks of one link are made of.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "dimension": "referrer",
    "items": [{ "value": "news.example", "clicks": 80 }, { "value": "", "clicks": 40 }],
    "next_cursor": null
}))]
pub struct LinkBreakdown {
    /// By what.
    pub dimension: Dimension,
    /// From the most frequent value to the least.
    pub items: Vec<BreakdownItem>,
    /// For the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// One value of a dimension.
#[derive(Debug, Serialize, ToSchema)]
pub struct BreakdownItem {
    /// The value; empty where there is none, or none is known.
    value: String,
    /// How many clicks of people had it; by kind, how many requests there were.
    clicks: u64,
}

impl From<BreakdownRow> for BreakdownItem {
    fn from(row: BreakdownRow) -> Self {
        Self {
            value: row.value,
            clicks: row.clicks,
        }
    }
}

/// The right to open one live stream without a header.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "ticket": "0f8fad5bd9cb469fa16570867728950e", "expires_at": "2026-11-24T17:06:03.12Z",
    "expires_in": 60
}))]
pub struct StreamTicket {
    /// For the parameter `ticket` of one live stream.
    pub ticket: String,
    /// Until when it can be used (RFC 3339, UTC).
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// For how many seconds it can be used.
    pub expires_in: i64,
}

fn timestamp(at_ms: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_millisecond(at_ms?).ok()
}
