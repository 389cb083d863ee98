use std::str::FromStr;

use jiff::{RoundMode, ToSpan, Unit, ZonedDateTime, ZonedDateTimeRound};
use serde::Serialize;
use utoipa::ToSchema;

use super::Invalid;

/// The width of the buckets of a series, by the clock and the calendar of a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
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
            Self::Hour => at.round(
                ZonedDateTimeRound::new()
                    .smallest(Unit::Hour)
                    .mode(RoundMode::Trunc),
            ),
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
        // Where a clock is set by a part of an hour, or a zone skips a day of the calendar, one
        // step can lead back into the same bucket. The second one leads out of it.
        let mut steps = 0;
        loop {
            steps += 1;
            let step = match self {
                Self::Hour => steps.hours(),
                Self::Day => steps.days(),
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

impl FromStr for Interval {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|interval| interval.as_str() == text)
            .ok_or_else(|| Invalid::new("an interval is `hour`, `day`, `week` or `month`"))
    }
}
