use std::fmt;

use rand::Rng;

/// Longest code, in characters. It is a NATS subject token and a path segment: 64 is plenty.
pub const MAX_LENGTH: usize = 64;

/// Length of a random code. 55^7 is about 1.5 · 10^12 codes: a collision is rare even with
/// a thousand million links.
const RANDOM_LENGTH: usize = 7;

/// Digits and letters without those that look alike (0 O o, 1 I i l).
const ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz";

/// Paths that are ours, now or probably later, on the host that also serves the codes.
/// In lower case; compared without regard to case, since people read `Auth` and `auth` as one.
const RESERVED: &[&str] = &[
    "admin",
    "analytics",
    "api",
    "assets",
    "auth",
    "docs",
    "favicon",
    "health",
    "healthz",
    "index",
    "login",
    "logout",
    "metrics",
    "openapi",
    "robots",
    "security",
    "shortener",
    "sitemap",
    "static",
    "well-known",
];

/// The short name of a link: `[A-Za-z0-9_-]{1,64}`. Case matters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(String);

/// Why a text can't be a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Empty, too long, or with other characters.
    #[error("must be 1 to 64 characters out of A-Z, a-z, 0-9, _ and -")]
    Shape,
    /// The word is a path of our own.
    #[error("is a reserved word")]
    Reserved,
}

impl Code {
    /// Any well-formed code, to look a link up. A reserved word passes: it has no link, unless it
    /// became reserved after the link was made, and then its owner must still reach it.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if text.is_empty() || text.len() > MAX_LENGTH || !text.bytes().all(allowed) {
            return Err(CodeError::Shape);
        }
        Ok(Self(text.to_owned()))
    }

    /// A code that a user chose for a new link.
    pub fn choose(text: &str) -> Result<Self, CodeError> {
        let code = Self::parse(text)?;
        if RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text)) {
            return Err(CodeError::Reserved);
        }
        Ok(code)
    }

    /// A random code. `rng` must be cryptographically secure: who sees one code must not be able
    /// to guess the next one.
    pub fn draw(rng: &mut impl Rng) -> Self {
        loop {
            let text: String = (0..RANDOM_LENGTH)
                .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
                .collect();
            if let Ok(code) = Self::choose(&text) {
                return code;
            }
        }
    }

    /// A code as the database holds it.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reserved_words_are_refused_in_any_case() {
        for word in ["auth", "Auth", "SHORTENER", "docs", "Health", "aNaLyTiCs"] {
            assert_eq!(Code::choose(word), Err(CodeError::Reserved), "{word}");
            assert!(Code::parse(word).is_ok(), "{word} can be looked up");
        }
    }

    #[test]
    fn dots_slashes_spaces_and_other_scripts_are_refused() {
        for text in [
            "",
            "a.b",
            "a/b",
            "a b",
            "ä",
            "a\0",
            "*",
            ">",
            "$",
            "%41",
            "robots.txt",
        ] {
            assert_eq!(Code::parse(text), Err(CodeError::Shape), "{text:?}");
        }
        assert!(Code::parse(&"a".repeat(MAX_LENGTH)).is_ok());
        assert_eq!(
            Code::parse(&"a".repeat(MAX_LENGTH + 1)),
            Err(CodeError::Shape)
        );
    }

    #[test]
    fn the_alphabet_has_no_look_alikes_and_no_letter_twice() {
        for byte in *b"0Oo1Iil" {
            assert!(!ALPHABET.contains(&byte));
        }
        let mut letters = ALPHABET.to_vec();
        letters.dedup();
        assert_eq!(letters.len(), 55);
    }

    #[test]
    fn random_codes_are_valid_and_differ() {
        let mut rng = rand::rng();
        let codes: std::collections::HashSet<Code> =
            (0..1_000).map(|_| Code::draw(&mut rng)).collect();
        assert_eq!(codes.len(), 1_000);
        for code in codes {
            assert_eq!(code.as_str().len(), RANDOM_LENGTH);
            assert_eq!(Code::choose(code.as_str()), Ok(code));
        }
    }

    proptest! {
        #[test]
        fn every_text_of_the_pattern_is_a_code(text in "[A-Za-z0-9_-]{1,64}") {
            let code = Code::parse(&text).unwrap();
            prop_assert_eq!(code.as_str(), text);
        }

        #[test]
        fn what_parses_is_of_the_pattern(text in ".*") {
            if let Ok(code) = Code::parse(&text) {
                prop_assert!((1..=MAX_LENGTH).contains(&code.as_str().len()));
                prop_assert!(code.as_str().bytes().all(
                    |b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
                ));
            }
        }
    }
}
