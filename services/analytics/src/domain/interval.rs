use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, ZonedDateTime};
use serde::Serialize;
use utoipa::ToSchema;

use super::Invalid;

/// The width of the buckets of a series, by the clock and the calendar of a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SeriesInterval)]
pub enum Interval {
    /// Hours by the zone's clock; in the night in which it is set back, one hour comes twice.
    Hour,
    /// Days from midnight to midnight: of 23 or 25 hours where the clock is set.
    #[default]
    Day,
    /// Weeks from Monday to Sunday (ISO 8601).
    Week,
    /// Months of the calendar.
    Month,
}

impl Interval {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The name in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The start of the bucket that holds `at`. Fails beyond the calendar (year 9999).
    pub(super) fn start_of(self, at: &ZonedDateTime) -> Result<ZonedDateTime, jiff::Error> {
        match self {
            Self::Hour => start_of_hour(at),
            Self::Day => at.start_of_day(),
            Self::Week => {
                let monday = i64::from(at.weekday().to_monday_zero_offset());
                at.checked_sub(monday.days())?.start_of_day()
            }
            Self::Month => at.first_of_month()?.start_of_day(),
        }
    }

    /// The start of the bucket behind the one that begins at `start`.
    pub(super) fn after(self, start: &ZonedDateTime) -> Result<ZonedDateTime, jiff::Error> {
        if self == Self::Hour {
            return hour_after(start);
        }
        // Where a zone skips a day of the calendar, one step can lead back into the same bucket.
        // The second one leads out of it.
        let mut steps = 0;
        loop {
            steps += 1;
            let step = match self {
                Self::Hour | Self::Day => steps.days(),
                Self::Week => steps.weeks(),
                Self::Month => steps.months(),
            };
            let next = self.start_of(&start.checked_add(step)?)?;
            if next.timestamp() > start.timestamp() {
                return Ok(next);
            }
        }
    }
}

/// The last full hour of the clock, or the instant since then at which the clock was set: an hour
/// in which that happens is two shorter buckets, so that no bucket holds one time of day twice.
fn start_of_hour(at: &ZonedDateTime) -> Result<ZonedDateTime, jiff::Error> {
    let minutes = i64::from(at.minute()) * 60 + i64::from(at.second());
    let past = SignedDuration::new(minutes, at.subsec_nanosecond());
    let full = at.timestamp().checked_sub(past)?;
    let start = clock_set(at.time_zone(), full, at.timestamp()).unwrap_or(full);
    Ok(start.to_zoned_datetime(at.time_zone().clone()))
}

/// The next full hour of the clock, or the instant before it at which the clock is set.
fn hour_after(start: &ZonedDateTime) -> Result<ZonedDateTime, jiff::Error> {
    let left = 60 * 60 - i64::from(start.minute()) * 60 - i64::from(start.second());
    let full = start
        .timestamp()
        .checked_add(SignedDuration::from_secs(left))?;
    let next = clock_set(start.time_zone(), start.timestamp(), full).unwrap_or(full);
    Ok(next.to_zoned_datetime(start.time_zone().clone()))
}

/// When the clock is set after one instant and not after another, if it is. A transition of the
/// zone that leaves the clock as it is (another name, another decree) does not count.
fn clock_set(zone: &TimeZone, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
    zone.following(after)
        .map(|transition| transition.timestamp())
        .take_while(|set| *set <= until)
        .find(|set| {
            let before = *set - SignedDuration::from_nanos(1);
            zone.to_offset(before) != zone.to_offset(*set)
        })
}

impl FromStr for Interval {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|interval| interval.as_str() == text)
            .ok_or_else(|| Invalid::new("an interval is `hour`, `day`, `week` or `month`"))
    }
}
