use std::str::FromStr;

use jiff::{Timestamp, civil::Date};

use super::{Invalid, TimeZone};

/// An edge of a time range: an instant, or a date that stands for its midnight in a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// An instant (RFC 3339).
    Instant(Timestamp),
    /// The start of a day.
    Day(Date),
}

impl Moment {
    /// The instant that it is in `zone`.
    pub fn in_zone(self, zone: &TimeZone) -> Result<Timestamp, Invalid> {
        match self {
            Self::Instant(at) => Ok(at),
            Self::Day(date) => date
                .to_zoned_datetime(zone.rules().clone())
                .map(|midnight| midnight.timestamp())
                .map_err(|_| Invalid::new("a date beyond the calendar")),
        }
    }
}

impl FromStr for Moment {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // `2026-03-29` has ten bytes; jiff alone would also take a whole time for a date.
        if text.len() == 10
            && let Ok(date) = text.parse()
        {
            return Ok(Self::Day(date));
        }
        text.parse().map(Self::Instant).map_err(|_| {
            Invalid::new("a time in RFC 3339 (`2026-03-29T12:00:00Z`) or a date (`2026-03-29`)")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_midnight_in_the_zone() {
        let berlin: TimeZone = "Europe/Berlin".parse().unwrap();
        let moment: Moment = "2026-03-29".parse().unwrap();
        assert_eq!(
            moment.in_zone(&berlin).unwrap().to_string(),
            "2026-03-28T23:00:00Z"
        );
    }

    #[test]
    fn a_time_is_the_same_in_every_zone() {
        let kolkata: TimeZone = "Asia/Kolkata".parse().unwrap();
        let moment: Moment = "2026-03-29T12:00:00+02:00".parse().unwrap();
        assert_eq!(
            moment.in_zone(&kolkata).unwrap().to_string(),
            "2026-03-29T10:00:00Z"
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "today",
            "2026-13-01",
            "2026-02-30",
            "1767225600",
            "2026-03-29T12:00:00",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text:?} was taken");
        }
    }
}
