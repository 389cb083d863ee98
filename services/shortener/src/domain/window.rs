//! The time in which a link is open.

use jiff::Timestamp;

/// The text is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an RFC 3339 time such as 2026-12-24T18:00:00Z")]
pub struct BadTime;

/// The link would never be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be later than valid_from")]
pub struct EmptyWindow;

/// Parses an RFC 3339 time; what is finer than a millisecond is cut off.
pub fn parse_time(text: &str) -> Result<Timestamp, BadTime> {
    let time: Timestamp = text.parse().map_err(|_| BadTime)?;
    let time = to_millisecond(time);
    // RFC 3339 knows no years before 0, so such a time could not be shown again.
    if text.starts_with(['-', '+']) || time.to_string().starts_with('-') {
        return Err(BadTime);
    }
    Ok(time)
}

/// The time as it is stored and shown: in whole milliseconds.
pub fn to_millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// A window must not be empty.
pub fn check(from: Option<Timestamp>, until: Option<Timestamp>) -> Result<(), EmptyWindow> {
    match (from, until) {
        (Some(from), Some(until)) if until <= from => Err(EmptyWindow),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_in_milliseconds() {
        let time = parse_time("2026-12-24T19:00:00.123456+01:00").unwrap();
        assert_eq!(time.to_string(), "2026-12-24T18:00:00.123Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2026-12-24",
            "2026-13-01T00:00:00Z",
            "-000001-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_time(text), Err(BadTime), "{text}");
        }
    }

    #[test]
    fn a_window_that_never_opens_is_refused() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        assert_eq!(check(at(1), at(1)), Err(EmptyWindow));
        assert_eq!(check(at(2), at(1)), Err(EmptyWindow));
        assert_eq!(check(at(1), at(2)), Ok(()));
        assert_eq!(check(None, at(1)), Ok(()));
    }
}
