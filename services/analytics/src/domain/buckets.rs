use jiff::{Timestamp, ZonedDateTime};

use super::{Interval, Invalid, TimeRange, TimeZone};

/// The most buckets of one series: 62 days by the hour, or four years by the day. More would be
/// more than a chart can show.
const MAX_BUCKETS: usize = 1_500;

/// One step of a series: a whole hour, day, week or month of a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its first instant, with the zone's offset.
    pub start: ZonedDateTime,
    /// The first instant behind it.
    pub end: Timestamp,
}

/// The buckets that `range` touches, in order, without a hole: the first and the last are whole
/// ones, too. Refuses more than [`MAX_BUCKETS`].
pub fn buckets(
    range: &TimeRange,
    interval: Interval,
    zone: &TimeZone,
) -> Result<Vec<Bucket>, Invalid> {
    let beyond = |_| Invalid::new("a range beyond the calendar");
    let first = range.from().to_zoned_datetime(zone.rules().clone());
    let mut start = interval.start_of(&first).map_err(beyond)?;
    let mut buckets = Vec::new();
    while start.timestamp() < range.to() {
        if buckets.len() == MAX_BUCKETS {
            return Err(Invalid::new(format!(
                "more than {MAX_BUCKETS} buckets: take a shorter range or a longer interval"
            )));
        }
        let next = interval.after(&start).map_err(beyond)?;
        buckets.push(Bucket {
            start,
            end: next.timestamp(),
        });
        start = next;
    }
    Ok(buckets)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::domain::Moment;

    fn of(from: &str, to: &str, interval: Interval, zone: &str) -> Vec<Bucket> {
        let zone = zone.parse().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let moment = |text: &str| Some(text.parse().unwrap());
        let range = TimeRange::new(moment(from), moment(to), &zone, now).unwrap();
        buckets(&range, interval, &zone).unwrap()
    }

    fn starts(buckets: &[Bucket]) -> Vec<String> {
        buckets
            .iter()
            .map(|bucket| bucket.start.timestamp().to_string())
            .collect()
    }

    fn hours(bucket: &Bucket) -> i64 {
        bucket
            .end
            .duration_since(bucket.start.timestamp())
            .as_hours()
    }

    #[test]
    fn a_day_has_23_hours_when_summer_time_begins() {
        let days = of("2026-03-28", "2026-03-31", Interval::Day, "Europe/Berlin");
        assert_eq!(
            starts(&days),
            [
                "2026-03-27T23:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z"
            ]
        );
        assert_eq!(days.iter().map(hours).collect::<Vec<_>>(), [24, 23, 24]);
    }

    #[test]
    fn an_hour_comes_twice_when_summer_time_ends() {
        let hours = of("2026-10-25", "2026-10-26", Interval::Hour, "Europe/Berlin");
        assert_eq!(hours.len(), 25);
        let local: Vec<String> = hours[1..5]
            .iter()
            .map(|hour| hour.start.strftime("%H:%M%:z").to_string())
            .collect();
        assert_eq!(
            local,
            ["01:00+02:00", "02:00+02:00", "02:00+01:00", "03:00+01:00"]
        );
    }

    #[test]
    fn hours_in_india_begin_at_half_past_of_utc() {
        let hours = of(
            "2026-01-01T00:10:00Z",
            "2026-01-01T01:00:00Z",
            Interval::Hour,
            "Asia/Kolkata",
        );
        assert_eq!(
            starts(&hours),
            ["2025-12-31T23:30:00Z", "2026-01-01T00:30:00Z"]
        );
    }

    #[test]
    fn an_hour_in_which_the_clock_is_set_is_two_buckets() {
        // Lord Howe goes from 02:00 (+11:00) back to 01:30 (+10:30) on 5 April 2026.
        let hours = of(
            "2026-04-05",
            "2026-04-06",
            Interval::Hour,
            "Australia/Lord_Howe",
        );
        let minutes = |bucket: &Bucket| {
            let lasting: SignedDuration = bucket.end.duration_since(bucket.start.timestamp());
            lasting.as_mins()
        };
        assert_eq!(
            hours[..4].iter().map(minutes).collect::<Vec<_>>(),
            [60, 60, 30, 60]
        );
        assert_eq!(hours.len(), 25);
        // Chatham goes from 02:45 (+12:45) to 03:45 (+13:45) on 27 September 2026.
        let hours = of(
            "2026-09-27",
            "2026-09-28",
            Interval::Hour,
            "Pacific/Chatham",
        );
        assert_eq!(
            hours[..5].iter().map(minutes).collect::<Vec<_>>(),
            [60, 60, 45, 15, 60]
        );
    }

    #[test]
    fn a_week_begins_on_monday_and_a_month_on_its_first() {
        let weeks = of("2026-11-24", "2026-12-01", Interval::Week, "UTC");
        assert_eq!(
            starts(&weeks),
            ["2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"]
        );
        let months = of("2026-11-24", "2027-01-01", Interval::Month, "UTC");
        assert_eq!(
            starts(&months),
            ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"]
        );
    }

    #[test]
    fn a_day_that_a_zone_skipped_is_no_bucket() {
        // Samoa crossed the date line: it had no 30 December 2011.
        let days = of("2011-12-28", "2012-01-01", Interval::Day, "Pacific/Apia");
        assert_eq!(days.len(), 3);
    }

    #[test]
    fn too_many_buckets_are_refused_before_they_are_made() {
        let zone = TimeZone::default();
        let edge = |text: &str| text.parse::<Moment>().ok();
        let (from, to) = (edge("2000-01-01"), edge("2199-12-31"));
        let range = TimeRange::new(from, to, &zone, Timestamp::UNIX_EPOCH).unwrap();
        assert!(buckets(&range, Interval::Hour, &zone).is_err());
        assert!(buckets(&range, Interval::Day, &zone).is_err());
        assert!(buckets(&range, Interval::Week, &zone).is_err());
        // 2,400 months are too many as well.
        assert!(buckets(&range, Interval::Month, &zone).is_err());
    }

    const ZONES: [&str; 9] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Chatham",
    ];

    proptest! {
        #[test]
        fn buckets_cover_the_range_without_hole_or_overlap(
            // From 2012 on: until then St. John's set its clock at one minute past midnight, and no
            // click is that old.
            from in 1_325_376_000_i64..2_208_988_800,
            seconds in 1_i64..5_000_000,
            interval in select(&Interval::ALL[..]),
            zone in select(&ZONES[..]),
        ) {
            let zone: TimeZone = zone.parse().unwrap();
            let (from, to) = (
                Timestamp::from_second(from).unwrap(),
                Timestamp::from_second(from + seconds).unwrap(),
            );
            let edge = |at| Some(Moment::Instant(at));
            let range = TimeRange::new(edge(from), edge(to), &zone, to).unwrap();
            let buckets = buckets(&range, interval, &zone).unwrap();
            prop_assert!(buckets[0].start.timestamp() <= from && from < buckets[0].end);
            let last = &buckets[buckets.len() - 1];
            prop_assert!(last.start.timestamp() < to && to <= last.end);
            for pair in buckets.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start.timestamp());
            }
            for bucket in &buckets {
                prop_assert!(bucket.start.timestamp() < bucket.end);
                // Every edge lies on a quarter of an hour, which is what is stored.
                prop_assert_eq!(bucket.start.timestamp().as_second() % 900, 0);
                // Every instant inside belongs to this bucket.
                let inside = bucket.end - SignedDuration::from_nanos(1);
                let inside = inside.to_zoned_datetime(zone.rules().clone());
                prop_assert_eq!(&interval.start_of(&inside).unwrap(), &bucket.start);
            }
        }
    }
}
