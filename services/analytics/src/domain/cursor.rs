use std::str::FromStr;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::Invalid;

/// The longest cursor that is read, in characters: a count and a value of a breakdown fit.
const MAX_LENGTH: usize = 1_024;

/// Behind which entry a page of a breakdown begins. Entries come by count from high to low, those
/// of one count by value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakdownCursor {
    /// The count of the last entry shown.
    pub clicks: u64,
    /// Its value.
    pub value: String,
}

/// Behind which link a page of links begins. Links come from the newest to the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinksCursor {
    /// The last link shown.
    pub link_id: Uuid,
}

impl BreakdownCursor {
    /// The cursor for the next request: letters, digits, `-` and `_`.
    pub fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{}:{}", self.clicks, self.value))
    }
}

impl FromStr for BreakdownCursor {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = decode(text)?;
        let (clicks, value) = text.split_once(':').ok_or_else(unreadable)?;
        // SQLite's integers have a sign.
        let clicks: u64 = clicks.parse().map_err(|_| unreadable())?;
        if i64::try_from(clicks).is_err() {
            return Err(unreadable());
        }
        Ok(Self {
            clicks,
            value: value.to_owned(),
        })
    }
}

impl LinksCursor {
    /// The cursor for the next request: letters, digits, `-` and `_`.
    pub fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.link_id.simple().to_string())
    }
}

impl FromStr for LinksCursor {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let link_id = Uuid::try_parse(&decode(text)?).map_err(|_| unreadable())?;
        Ok(Self { link_id })
    }
}

fn decode(text: &str) -> Result<String, Invalid> {
    if text.len() > MAX_LENGTH {
        return Err(unreadable());
    }
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| unreadable())?;
    String::from_utf8(bytes).map_err(|_| unreadable())
}

fn unreadable() -> Invalid {
    Invalid::new("no cursor of an earlier answer")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_as_it_is_written(clicks in 0..=i64::MAX.cast_unsigned(), value in ".{0,100}") {
            let cursor = BreakdownCursor { clicks, value };
            prop_assert_eq!(cursor.encode().parse::<BreakdownCursor>(), Ok(cursor));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = text.parse::<BreakdownCursor>();
            let _ = text.parse::<LinksCursor>();
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let links = LinksCursor {
            link_id: Uuid::nil(),
        }
        .encode();
        assert_eq!(
            links.parse::<LinksCursor>(),
            Ok(LinksCursor {
                link_id: Uuid::nil()
            })
        );
        assert!(links.parse::<BreakdownCursor>().is_err());
        let breakdown = BreakdownCursor {
            clicks: 1,
            value: "de".into(),
        }
        .encode();
        assert!(breakdown.parse::<LinksCursor>().is_err());
    }
}
