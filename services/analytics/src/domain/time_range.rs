use jiff::{Timestamp, ToSpan};

use super::{Invalid, Moment, TimeZone};

/// How many days the statistics show to who does not say: today and the 29 days before.
const DEFAULT_DAYS: i64 = 30;

/// The years that can be asked for. Far more than kurz can have seen, and inside of what every
/// calendar computation can do without an overflow.
const YEARS: std::ops::Range<i16> = 2000..2200;

/// From one instant (included) to a later one (excluded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    from: Timestamp,
    to: Timestamp,
}

impl TimeRange {
    /// The range between two edges. Without `to` it ends at `now`; without `from` it begins so
    /// early that it touches [`DEFAULT_DAYS`] days of the zone's calendar.
    ///
    /// Fails with the field to blame.
    pub fn new(
        from: Option<Moment>,
        to: Option<Moment>,
        zone: &TimeZone,
        now: Timestamp,
    ) -> Result<Self, (&'static str, Invalid)> {
        let to = match to {
            Some(to) => to
                .in_zone(zone)
                .and_then(known)
                .map_err(|error| ("to", error))?,
            None => now,
        };
        let from = match from {
            Some(from) => from
                .in_zone(zone)
                .and_then(known)
                .map_err(|error| ("from", error))?,
            None => to
                .to_zoned_datetime(zone.rules().clone())
                .checked_sub((DEFAULT_DAYS - 1).days())
                .and_then(|day| day.start_of_day())
                .map_err(|_| ("to", out_of_years()))?
                .timestamp(),
        };
        if from >= to {
            return Err(("from", Invalid::new("`from` must be earlier than `to`")));
        }
        Ok(Self { from, to })
    }

    /// The first instant of it.
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// The first instant behind it.
    pub fn to(&self) -> Timestamp {
        self.to
    }
}

fn known(at: Timestamp) -> Result<Timestamp, Invalid> {
    let year = at.to_zoned_datetime(jiff::tz::TimeZone::UTC).year();
    if YEARS.contains(&year) {
        Ok(at)
    } else {
        Err(out_of_years())
    }
}

fn out_of_years() -> Invalid {
    Invalid::new(format!(
        "a time lies in the years {} to {}",
        YEARS.start,
        YEARS.end - 1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn range(from: Option<&str>, to: Option<&str>, zone: &str) -> Result<TimeRange, &'static str> {
        let moment = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        let zone = zone.parse().unwrap();
        TimeRange::new(moment(from), moment(to), &zone, at("2026-11-24T17:00:00Z"))
            .map_err(|(field, _)| field)
    }

    #[test]
    fn by_default_it_is_the_last_thirty_days() {
        let range = range(None, None, "UTC").unwrap();
        assert_eq!(range.from(), at("2026-10-26T00:00:00Z"));
        assert_eq!(range.to(), at("2026-11-24T17:00:00Z"));
    }

    #[test]
    fn the_default_follows_the_zone_and_its_clock() {
        // Berlin leaves summer time on 25 October: 29 days before the 20th of November.
        let range = range(None, Some("2026-11-20T12:00:00Z"), "Europe/Berlin").unwrap();
        assert_eq!(range.from(), at("2026-10-21T22:00:00Z"));
    }

    #[test]
    fn the_field_to_blame_is_named() {
        assert_eq!(
            range(Some("2026-01-02"), Some("2026-01-01"), "UTC"),
            Err("from")
        );
        assert_eq!(
            range(Some("2026-01-01"), Some("2026-01-01"), "UTC"),
            Err("from")
        );
        assert_eq!(range(Some("1999-12-31"), None, "UTC"), Err("from"));
        assert_eq!(range(None, Some("2200-01-01"), "UTC"), Err("to"));
        assert_eq!(range(Some("2027-01-01"), None, "UTC"), Err("from"));
    }
}
