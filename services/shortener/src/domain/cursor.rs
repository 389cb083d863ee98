use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::Code;

/// The order of a list. Ties are broken by the code, so every link has exactly one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// Greatest first.
    pub descending: bool,
}

/// What a list can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// When the link was made.
    CreatedAt,
    /// When the link was changed last.
    UpdatedAt,
    /// The code, byte by byte (digits, capitals, `_`, small letters).
    Code,
}

/// There is no such order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of created_at, updated_at, code, or one of these with a - before it")]
pub struct BadSort;

/// The text is not a cursor that this list gave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the next_cursor of a page of the same list with the same sort")]
pub struct BadCursor;

/// Every order, and its name; the position in this list is the first byte of a cursor.
const SORTS: [(&str, SortKey, bool); 6] = [
    ("created_at", SortKey::CreatedAt, false),
    ("-created_at", SortKey::CreatedAt, true),
    ("updated_at", SortKey::UpdatedAt, false),
    ("-updated_at", SortKey::UpdatedAt, true),
    ("code", SortKey::Code, false),
    ("-code", SortKey::Code, true),
];

impl Sort {
    /// Parses `created_at`, `-created_at` and so on.
    pub fn parse(text: &str) -> Result<Self, BadSort> {
        let found = SORTS.iter().find(|(name, ..)| *name == text);
        found
            .map(|&(_, key, descending)| Self { key, descending })
            .ok_or(BadSort)
    }

    fn number(self) -> u8 {
        let position = SORTS
            .iter()
            .position(|&(_, k, d)| k == self.key && d == self.descending);
        position
            .and_then(|n| u8::try_from(n).ok())
            .unwrap_or(u8::MAX)
    }
}

impl Default for Sort {
    /// Newest first.
    fn default() -> Self {
        Self {
            key: SortKey::CreatedAt,
            descending: true,
        }
    }
}

/// The position behind the last link of a page, in one order. It names a place, not a row:
/// links that are added or removed meanwhile neither repeat nor hide others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The order it belongs to.
    pub sort: Sort,
    /// The time that is sorted by, in Unix milliseconds; 0 when the key is the code.
    pub at_ms: i64,
    /// The code of the last link.
    pub code: Code,
}

/// Bytes before the code.
const HEAD: usize = 9;

impl Cursor {
    /// The text for a client. Nothing in it is secret, and nothing in it is trusted:
    /// a list shows only the caller's own links, wherever it begins.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(HEAD + self.code.as_str().len());
        bytes.push(self.sort.number());
        bytes.extend(self.at_ms.to_be_bytes());
        bytes.extend(self.code.as_str().bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor for a list in the order `sort`.
    pub fn decode(text: &str, sort: Sort) -> Result<Self, BadCursor> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor)?;
        let (head, code) = bytes.split_at_checked(HEAD).ok_or(BadCursor)?;
        let (&number, at_ms) = head.split_first().ok_or(BadCursor)?;
        if number != sort.number() {
            return Err(BadCursor);
        }
        let at_ms = i64::from_be_bytes(at_ms.try_into().map_err(|_| BadCursor)?);
        let code = std::str::from_utf8(code)
            .ok()
            .and_then(|code| Code::parse(code).ok());
        Ok(Self {
            sort,
            at_ms,
            code: code.ok_or(BadCursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_of_another_order_is_refused() {
        let cursor = Cursor {
            sort: Sort::default(),
            at_ms: 7,
            code: Code::parse("abc").unwrap(),
        };
        let other = Sort::parse("code").unwrap();
        assert_eq!(Cursor::decode(&cursor.encode(), other), Err(BadCursor));
    }

    #[test]
    fn unknown_orders_are_refused() {
        for text in ["", "url", "+code", "--code", "CODE", "created_at,code"] {
            assert_eq!(Sort::parse(text), Err(BadSort), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_survives_the_way_to_the_client_and_back(
            sort in 0..SORTS.len(), at_ms in any::<i64>(), code in "[A-Za-z0-9_-]{1,64}"
        ) {
            let sort = Sort::parse(SORTS[sort].0).unwrap();
            let cursor = Cursor { sort, at_ms, code: Code::parse(&code).unwrap() };
            prop_assert_eq!(Cursor::decode(&cursor.encode(), sort), Ok(cursor));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".*", bytes in any::<Vec<u8>>()) {
            let _ = Cursor::decode(&text, Sort::default());
            let _ = Cursor::decode(&BASE64_URL_SAFE_NO_PAD.encode(bytes), Sort::default());
        }
    }
}
