use std::{collections::BTreeSet, fmt, str::FromStr};

use super::Invalid;

/// The longest code that a link can have, in characters.
const MAX_LENGTH: usize = 64;

/// How many codes one request can name: a page of links, so that one look-up stays short.
const MAX_CODES: usize = 100;

/// The part of a short URL behind the slash: `[A-Za-z0-9_-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(String);

impl Code {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Code {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if text.is_empty() || text.len() > MAX_LENGTH || !text.bytes().all(allowed) {
            return Err(Invalid::new(
                "a code is 1 to 64 letters, digits, `_` or `-`",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Codes as a request lists them: `a,b,c`, at least one and at most [`MAX_CODES`], each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codes(BTreeSet<Code>);

impl Codes {
    /// The codes in their own order.
    pub fn iter(&self) -> impl Iterator<Item = &Code> {
        self.0.iter()
    }
}

impl FromStr for Codes {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let codes: BTreeSet<Code> = text
            .split(',')
            .take(MAX_CODES + 1)
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        if text.split(',').nth(MAX_CODES).is_some() {
            return Err(Invalid::new(format!("at most {MAX_CODES} codes at once")));
        }
        Ok(Self(codes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_names_each_code_once() {
        let codes: Codes = "b,a,b".parse().unwrap();
        assert_eq!(
            codes.iter().map(Code::as_str).collect::<Vec<_>>(),
            ["a", "b"]
        );
    }

    #[test]
    fn an_empty_or_an_endless_list_is_refused() {
        assert!("".parse::<Codes>().is_err());
        assert!("a,,b".parse::<Codes>().is_err());
        let many = vec!["a"; MAX_CODES].join(",");
        assert!(many.parse::<Codes>().is_ok());
        assert!(format!("{many},a").parse::<Codes>().is_err());
    }

    proptest! {
        #[test]
        fn a_code_is_exactly_its_alphabet(text in "[A-Za-z0-9_-]{1,64}") {
            let code: Code = text.parse().unwrap();
            prop_assert_eq!(code.as_str(), text);
        }

        #[test]
        fn nothing_else_is_a_code(text in ".{0,70}") {
            let inside = !text.is_empty()
                && text.chars().count() <= 64
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            prop_assert_eq!(text.parse::<Code>().is_ok(), inside);
        }
    }
}
