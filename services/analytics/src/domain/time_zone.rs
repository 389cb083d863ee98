use std::str::FromStr;

use jiff::tz;

use super::Invalid;

/// The longest name that is looked up; the longest one in use has 38 characters.
const MAX_NAME: usize = 64;

/// A time zone by its IANA name, such as `Europe/Berlin`.
#[derive(Debug, Clone)]
pub struct TimeZone {
    name: String,
    rules: tz::TimeZone,
}

impl TimeZone {
    /// Its name, as IANA spells it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its clocks show when.
    pub(super) fn rules(&self) -> &tz::TimeZone {
        &self.rules
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self {
            name: "UTC".to_owned(),
            rules: tz::TimeZone::UTC,
        }
    }
}

impl FromStr for TimeZone {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let unknown = || Invalid::new("no time zone of the IANA database, such as `Europe/Berlin`");
        // The names are looked up among files: nothing that could be a path comes through.
        let allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'+');
        if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(allowed) {
            return Err(unknown());
        }
        let rules = tz::TimeZone::get(text).map_err(|_| unknown())?;
        // `Etc/Unknown` is jiff's way to go on without a zone.
        if rules.is_unknown() {
            return Err(unknown());
        }
        let name = rules.iana_name().ok_or_else(unknown)?.to_owned();
        Ok(Self { name, rules })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_its_iana_name() {
        for (text, name) in [
            ("Europe/Berlin", "Europe/Berlin"),
            ("asia/kolkata", "Asia/Kolkata"),
            ("UTC", "UTC"),
            ("Etc/GMT+5", "Etc/GMT+5"),
        ] {
            assert_eq!(text.parse::<TimeZone>().unwrap().name(), name);
        }
    }

    #[test]
    fn what_iana_does_not_know_is_refused() {
        for text in [
            "",
            "Mars/Olympus",
            "../../etc/passwd",
            "/etc/localtime",
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "Etc/Unknown",
            "Europe/Berlin\0",
            "right/Europe/Berlin",
            "tzdata.zi",
        ] {
            assert!(text.parse::<TimeZone>().is_err(), "{text:?} was taken");
        }
    }
}
