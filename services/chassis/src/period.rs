//! A length of time as people write it in a setting.

use std::str::FromStr;
use std::time::Duration;

/// A whole number of days, hours, minutes or seconds: `30d`, `720h`, `90m`, `3600s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "not a duration like 30d, 720h, 90m or 3600s";
        let unit = text.chars().last().ok_or(SHAPE)?;
        let seconds_in_unit = match unit {
            'd' => 24 * 60 * 60,
            'h' => 60 * 60,
            'm' => 60,
            's' => 1,
            _ => return Err(SHAPE),
        };
        let number: u32 = text[..text.len() - 1].parse().map_err(|_| SHAPE)?;
        Ok(Self(Duration::from_secs(
            u64::from(number) * seconds_in_unit,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_number_and_a_unit() {
        let day = Period(Duration::from_hours(24));
        assert_eq!("1d".parse(), Ok(day));
        assert_eq!("24h".parse(), Ok(day));
        assert_eq!("1440m".parse(), Ok(day));
        assert_eq!("86400s".parse(), Ok(day));
        for text in ["", "d", "30", "-1d", "1.5h", "30 d", "3ü"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
