//! The parameters of requests, as they come. Unknown ones are refused.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::{Invalid, Limit};
use crate::error::Error;

/// From when to when, in which steps, and by which clock.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SeriesQuery {
    /// The first instant, as a time in RFC 3339 or as a date, which is its midnight in the time
    /// zone; by default so early that the series has 30 days. The first bucket is a whole one.
    #[param(nullable = false, example = "2026-11-01")]
    pub from: Option<String>,
    /// The first instant behind the range, in the same forms; by default now. The last bucket is a
    /// whole one.
    #[param(nullable = false, example = "2026-12-01T00:00:00Z")]
    pub to: Option<String>,
    /// The width of a bucket: `hour`, `day`, `week` (from Monday) or `month`. There are at most
    /// 1,500 buckets.
    #[param(
        nullable = false,
        default = "day",
        example = "day",
        pattern = "^(hour|day|week|month)$"
    )]
    pub interval: Option<String>,
    /// By whose clock and calendar: the name of a time zone in the IANA database.
    #[param(nullable = false, default = "UTC", example = "Europe/Berlin")]
    pub timezone: Option<String>,
}

/// Which page of a breakdown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many entries the page holds at most.
    #[param(
        nullable = false,
        minimum = 1,
        maximum = 100,
        default = 20,
        example = 20
    )]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(nullable = false)]
    pub cursor: Option<String>,
}

/// Which links.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LinksQuery {
    /// Only the links with these codes, separated by commas, at most 100, all on one page.
    #[param(nullable = false, example = "docs,spring-sale")]
    pub codes: Option<String>,
    /// How many links the page holds at most; not together with `codes`.
    #[param(
        nullable = false,
        minimum = 1,
        maximum = 100,
        default = 20,
        example = 20
    )]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before; not together with `codes`.
    #[param(nullable = false)]
    pub cursor: Option<String>,
}

/// Which clicks a live stream shows, and to whom.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// Only clicks of this kind.
    #[param(
        nullable = false,
        example = "human",
        pattern = "^(human|bot|preview|prefetch|head)$"
    )]
    pub kind: Option<String>,
    /// Only clicks from this country (ISO 3166-1 alpha-2).
    #[param(nullable = false, example = "DE", pattern = "^[A-Z]{2}$")]
    pub country: Option<String>,
    /// A ticket instead of an access token, for `EventSource`, which can't send a header.
    #[param(nullable = false)]
    pub ticket: Option<String>,
    /// The same as the header `Last-Event-ID`, which wins: for a new `EventSource` with a new
    /// ticket.
    #[param(nullable = false, example = "4711-0")]
    pub last_event_id: Option<String>,
}

/// The limit of a page.
pub fn limit(number: Option<u32>) -> Result<Limit, Error> {
    let limit = number
        .map(Limit::try_from)
        .transpose()
        .map_err(|reason| ("limit", reason))?;
    Ok(limit.unwrap_or_default())
}

/// A parameter that may be left out; the name is the one to blame.
pub fn optional<T>(name: &'static str, text: Option<&str>) -> Result<Option<T>, Error>
where
    T: std::str::FromStr<Err = Invalid>,
{
    Ok(text
        .map(str::parse)
        .transpose()
        .map_err(|reason| (name, reason))?)
}
