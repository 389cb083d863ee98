use std::{fmt, str::FromStr};

use super::Invalid;

/// Where a click stands in the stream of all clicks: the sequence of its message and its index in
/// the message's batch. What lies behind an id is what its holder has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    /// The sequence of the message in the stream; the first one has 1.
    pub sequence: u64,
    /// The index in the batch, from 0.
    pub index: u32,
}

impl EventId {
    /// The place behind every click of the message `sequence`.
    pub fn end_of(sequence: u64) -> Self {
        Self {
            sequence,
            index: u32::MAX,
        }
    }

    /// Whether it lies behind a whole message, not inside of one.
    pub fn is_end(self) -> bool {
        self.index == u32::MAX
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.sequence, self.index)
    }
}

impl FromStr for EventId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        fn number<N: FromStr>(text: &str) -> Option<N> {
            // `parse` alone would take a sign.
            text.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| text.parse().ok())
                .flatten()
        }
        text.split_once('-')
            .and_then(|(sequence, index)| {
                Some(Self {
                    sequence: number(sequence)?,
                    index: number(index)?,
                })
            })
            .ok_or_else(|| Invalid::new("an event id is `<sequence>-<index>`, such as `4711-0`"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_reads_as_it_is_written(sequence: u64, index: u32) {
            let id = EventId { sequence, index };
            prop_assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = text.parse::<EventId>();
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "1",
            "-",
            "1-",
            "-1",
            "+1-0",
            "1-+0",
            "1-2-3",
            "18446744073709551616-0",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text:?} was taken");
        }
    }
}
