//! The name somebody signs in with.

use std::fmt;

/// The least number of characters of a username.
pub const MIN_LENGTH: usize = 3;
/// The greatest number of characters of a username: room for an e-mail address of most people,
/// and small enough for a column of a table on a screen.
pub const MAX_LENGTH: usize = 64;

/// A valid username: 3 to 64 ASCII letters, digits, or `.`, `_`, `-`, `@`, `+`, the first one a
/// letter or a digit. Only ASCII, so that no two names look alike and folding is unambiguous.
///
/// Two usernames that differ in upper and lower case only are equal.
#[derive(Clone)]
pub struct Username(String);

/// Why a text is not a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UsernameFault {
    /// Too short or too long.
    #[error("must have {MIN_LENGTH} to {MAX_LENGTH} characters")]
    Length,
    /// A character outside of the alphabet.
    #[error("may only have the letters a to z, digits, and . _ - @ +")]
    Character,
    /// It begins with a sign.
    #[error("must begin with a letter or a digit")]
    Start,
}

impl Username {
    /// Checks `text`; it is kept as it was written.
    pub fn parse(text: &str) -> Result<Self, UsernameFault> {
        if !text.chars().all(is_allowed) {
            return Err(UsernameFault::Character);
        }
        if !(MIN_LENGTH..=MAX_LENGTH).contains(&text.len()) {
            return Err(UsernameFault::Length);
        }
        if !text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            return Err(UsernameFault::Start);
        }
        Ok(Self(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same for all spellings of the same name.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | '@' | '+')
}

impl PartialEq for Username {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Username {}

// A name is personal data: it belongs in the database and in the answer to its owner, not in a log.
impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Username(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bounds_of_the_length_are_inclusive() {
        assert_eq!(Username::parse("ab").unwrap_err(), UsernameFault::Length);
        assert!(Username::parse("abc").is_ok());
        assert!(Username::parse(&"a".repeat(MAX_LENGTH)).is_ok());
        assert_eq!(
            Username::parse(&"a".repeat(MAX_LENGTH + 1)).unwrap_err(),
            UsernameFault::Length
        );
    }

    #[test]
    fn a_name_that_looks_like_another_is_refused() {
        for text in [
            "аdmin",
            "admin\u{200b}",
            "ad min",
            "admin\0",
            "ádmin",
            "ad/min",
            "ＡＤＭＩＮ",
        ] {
            assert_eq!(
                Username::parse(text).unwrap_err(),
                UsernameFault::Character,
                "{text:?}"
            );
        }
        assert_eq!(Username::parse("-admin").unwrap_err(), UsernameFault::Start);
    }

    #[test]
    fn a_name_is_not_printed() {
        assert!(!format!("{:?}", Username::parse("ada.lovelace").unwrap()).contains("ada"));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_kept_as_it_is(text in any::<String>()) {
            if let Ok(username) = Username::parse(&text) {
                prop_assert_eq!(username.as_str(), &text);
            }
        }

        #[test]
        fn every_name_of_the_documented_pattern_is_accepted(
            text in "[A-Za-z0-9][A-Za-z0-9._@+-]{2,63}"
        ) {
            prop_assert!(Username::parse(&text).is_ok());
        }

        #[test]
        fn what_is_accepted_matches_the_documented_pattern(text in "[ -~é]{0,70}") {
            if Username::parse(&text).is_ok() {
                prop_assert!((3..=64).contains(&text.chars().count()));
                prop_assert!(text.starts_with(|c: char| c.is_ascii_alphanumeric()));
                prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "._@+-".contains(c)));
            }
        }

        #[test]
        fn spellings_of_one_name_are_equal_and_fold_alike(
            text in "[A-Za-z0-9][A-Za-z0-9._@+-]{2,63}"
        ) {
            let written = Username::parse(&text).unwrap();
            let shouted = Username::parse(&text.to_ascii_uppercase()).unwrap();
            prop_assert_eq!(&written, &shouted);
            prop_assert_eq!(written.folded(), shouted.folded());
        }
    }
}
