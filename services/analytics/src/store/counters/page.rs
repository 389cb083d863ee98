//! How a page of counters is stored.
//!
//! `flags`, then one section for each kind that occurs: the kind, how many counters, and for each
//! its distance from the one before and its value, both as variable-length numbers (7 bits in a byte,
//! the lowest first, the top bit says that more follows). A visitor has no value.

use super::key::{DETAIL_BITS, Key, kind};
use super::varint;

/// A link has another page behind this one.
const MORE: u8 = 1;

/// Consecutive counters of one link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// By key, ascending.
    pub entries: Vec<(Key, u64)>,
    /// Whether the link has another page behind this one.
    pub has_more: bool,
}

/// Bytes that are no page, or one of a newer version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a page of counters can't be read")]
pub struct Unreadable;

impl Page {
    /// Reads what [`encode`] wrote, in the place of what it held before.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        self.clear();
        self.has_more = walk(bytes, |key, value| self.entries.push((key, value)))?;
        Ok(())
    }

    /// Takes everything away but the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.has_more = false;
    }

    /// The value of a counter; a new one begins with `initial`. Whether it is new.
    pub fn value(&mut self, key: Key, initial: u64) -> (&mut u64, bool) {
        match self.entries.binary_search_by_key(&key, |entry| entry.0) {
            Ok(at) => (&mut self.entries[at].1, false),
            Err(at) => {
                self.entries.insert(at, (key, initial));
                (&mut self.entries[at].1, true)
            }
        }
    }
}

/// Calls `visit` for each counter of a page, in order; whether the link has another page behind it.
pub fn walk(bytes: &[u8], mut visit: impl FnMut(Key, u64)) -> Result<bool, Unreadable> {
    let (&flags, mut rest) = bytes.split_first().ok_or(Unreadable)?;
    if flags & !MORE != 0 {
        return Err(Unreadable);
    }
    while let Some((&kind, behind)) = rest.split_first() {
        rest = behind;
        let mut detail = 0_u128;
        for _ in 0..number(&mut rest)? {
            detail = detail.checked_add(number(&mut rest)?).ok_or(Unreadable)?;
            let value = if kind == kind::VISITOR {
                1
            } else {
                u64::try_from(number(&mut rest)?).map_err(|_| Unreadable)?
            };
            visit(Key::of(kind, detail), value);
        }
    }
    Ok(flags & MORE != 0)
}

/// The bytes of a page with these counters, appended to `to`.
pub fn encode(entries: &[(Key, u64)], has_more: bool, to: &mut Vec<u8>) {
    to.push(if has_more { MORE } else { 0 });
    for section in entries.chunk_by(|one, other| one.0.kind() == other.0.kind()) {
        let kind = section[0].0.kind();
        to.push(kind);
        varint::write(section.len() as u128, to);
        let mut before = 0;
        for &(key, value) in section {
            varint::write(key.detail() - before, to);
            before = key.detail();
            if kind != kind::VISITOR {
                varint::write(u128::from(value), to);
            }
        }
    }
}

/// A detail, or less.
fn number(bytes: &mut &[u8]) -> Result<u128, Unreadable> {
    varint::read(bytes, DETAIL_BITS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::key::{Sort, Total};
    use super::*;

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            Just(Key::total(Total::Humans)),
            (1_u8..8, 0_i64..1 << 40)
                .prop_map(|(dimension, label)| Key::breakdown(dimension, label)),
            (0_i64..3_000_000).prop_map(|at| Key::bucket(at, Sort::Bot)),
            (0_i64..40_000).prop_map(Key::day),
            (0_i64..40_000, any::<u64>()).prop_map(|(day, visitor)| Key::visitor(day, visitor)),
        ]
    }

    fn decode(bytes: &[u8]) -> Result<Page, Unreadable> {
        let mut page = Page {
            entries: vec![(Key::FIRST, 1)],
            has_more: true,
        };
        page.read(bytes).map(|()| page)
    }

    proptest! {
        #[test]
        fn a_page_comes_back(counters in prop::collection::btree_map(key(), any::<u64>(), 0..60)) {
            let entries: Vec<_> = counters
                .into_iter()
                .map(|(key, value)| (key, if key.kind() == kind::VISITOR { 1 } else { value }))
                .collect();
            for has_more in [false, true] {
                let mut bytes = Vec::new();
                encode(&entries, has_more, &mut bytes);
                let page = Page { entries: entries.clone(), has_more };
                prop_assert_eq!(decode(&bytes), Ok(page));
            }
        }

        #[test]
        fn any_bytes_are_a_page_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn a_page_counts_as_a_map_does(adds in prop::collection::vec((key(), 1_u64..9), 0..80)) {
            let (mut page, mut map) = (Page::default(), BTreeMap::new());
            for (key, more) in adds {
                let is_new = !map.contains_key(&key);
                *map.entry(key).or_insert(0) += more;
                let (value, was_new) = page.value(key, 0);
                *value += more;
                prop_assert_eq!(was_new, is_new);
            }
            prop_assert_eq!(page.entries, Vec::from_iter(map));
        }
    }

    /// What is stored stays readable.
    #[test]
    fn a_page_of_today_has_these_bytes() {
        let entries = [
            (Key::total(Total::Humans), 300),
            (Key::total(Total::LastClick), 1),
            (Key::breakdown(1, 200), 2),
            (Key::bucket(5, Sort::Bot), 7),
            (Key::day(20_000), 1),
            (Key::visitor(1, 2), 1),
            (Key::visitor(1, 5), 1),
        ];
        let mut bytes = Vec::new();
        encode(&entries, true, &mut bytes);
        let expected = [
            1, // more
            1, 2, 0, 0xac, 2, 5, 1, // two totals
            17, 1, 0xc8, 1, 2, // one label of dimension 1
            32, 1, 21, 7, // one bucket
            33, 1, 0xa0, 0x9c, 1, 1, // one day
            34, 2, 0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2, 3, // two visitors
        ];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_page_of_a_newer_version_is_refused() {
        assert_eq!(decode(&[2]), Err(Unreadable));
        assert_eq!(decode(&[]), Err(Unreadable));
    }
}
