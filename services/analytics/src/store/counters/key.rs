//! What is counted of a link, as numbers in the order in which pages hold them.

use std::fmt;

/// What of a link is counted: its kind, and which of that kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u128);

/// Bits of a key below its kind: a day and a visitor's hash need most.
pub(super) const DETAIL_BITS: u32 = 96;
/// Bytes of a key: one for the kind, twelve for the detail.
const BYTES: usize = 13;

/// What a kind of counter is for. The numbers are stored: they stay what they are.
pub mod kind {
    /// Sums of the link, by [`super::Total`].
    pub const TOTAL: u8 = 1;
    /// Human clicks by dimension and label: this and the dimension. Dimension 7, the kind of
    /// visit, holds every visit.
    pub const BREAKDOWN: u8 = 16;
    /// Visits of a quarter of an hour.
    pub const BUCKET: u8 = 32;
    /// Distinct human visitors of a UTC day.
    pub const DAY: u8 = 33;
    /// One human visitor of a UTC day. It has no value: it is there or not.
    pub const VISITOR: u8 = 34;
}

/// The sums of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// Clicks of people.
    Humans = 0,
    /// Clicks of bots.
    Bots = 1,
    /// HEAD requests, previews and prefetches, which are no clicks.
    Others = 2,
    /// Sum of each day's distinct human visitors.
    Visitors = 3,
    /// The earliest click, in milliseconds since 1970: no sum, but the least.
    FirstClick = 4,
    /// The latest click: the greatest.
    LastClick = 5,
}

/// Sorts of visits, of which each quarter of an hour has a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A click of a person.
    Human = 0,
    /// A click of a bot.
    Bot = 1,
    /// No click.
    Other = 2,
}

impl Key {
    /// Before every key.
    pub const FIRST: Self = Self(0);

    const fn new(kind: u8, detail: u128) -> Self {
        Self((kind as u128) << DETAIL_BITS | detail)
    }

    /// A sum.
    pub const fn total(total: Total) -> Self {
        Self::new(kind::TOTAL, total as u128)
    }

    /// A value of a dimension (1 to 7), by the number of its label.
    pub fn breakdown(dimension: u8, label: i64) -> Self {
        Self::new(kind::BREAKDOWN + dimension, unsigned(label))
    }

    /// A quarter of an hour, by its number since 1970.
    pub fn bucket(at: i64, sort: Sort) -> Self {
        Self::new(kind::BUCKET, unsigned(at) << 2 | sort as u128)
    }

    /// A UTC day, by its number since 1970.
    pub fn day(day: i64) -> Self {
        Self::new(kind::DAY, unsigned(day))
    }

    /// A visitor of a day.
    pub fn visitor(day: i64, visitor: u64) -> Self {
        Self::new(
            kind::VISITOR,
            (unsigned(day) & 0xffff_ffff) << 64 | u128::from(visitor),
        )
    }

    /// The keys of a kind: the first, and the first behind them.
    pub const fn all_of(kind: u8) -> (Self, Self) {
        (Self::new(kind, 0), Self::new(kind + 1, 0))
    }

    pub(super) const fn of(kind: u8, detail: u128) -> Self {
        Self::new(kind, detail)
    }

    /// Its kind.
    pub fn kind(self) -> u8 {
        u8::try_from(self.0 >> DETAIL_BITS).unwrap_or(u8::MAX)
    }

    /// Which of its kind.
    pub fn detail(self) -> u128 {
        self.0 & ((1 << DETAIL_BITS) - 1)
    }

    /// The number of the label of a breakdown, of a day, or of whatever else is one number.
    pub fn number(self) -> i64 {
        i64::try_from(self.detail()).unwrap_or(i64::MAX)
    }

    /// The quarter of an hour of a bucket, and what sort of visits it counts; none if a newer
    /// version counts more.
    pub fn bucket_at(self) -> (i64, Option<Sort>) {
        let sort = match self.detail() & 3 {
            0 => Some(Sort::Human),
            1 => Some(Sort::Bot),
            2 => Some(Sort::Other),
            _ => None,
        };
        (i64::try_from(self.detail() >> 2).unwrap_or(i64::MAX), sort)
    }

    /// The day and the hash of a visitor.
    pub fn visitor_of(self) -> (i64, u64) {
        let day = i64::try_from(self.detail() >> 64).unwrap_or(i64::MAX);
        let hash = self.detail() & u128::from(u64::MAX);
        (day, u64::try_from(hash).unwrap_or_default())
    }

    /// As bytes that sort as the keys do: the zeros at the end are left out.
    pub fn to_bytes(self) -> KeyBytes {
        let all = self.0.to_be_bytes();
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(&all[all.len() - BYTES..]);
        let length = BYTES - bytes.iter().rev().take_while(|byte| **byte == 0).count();
        KeyBytes { bytes, length }
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut all = [0; 16];
        let begin = all.len() - BYTES;
        all.get_mut(begin..begin + bytes.len())?
            .copy_from_slice(bytes);
        Some(Self(u128::from_be_bytes(all)))
    }
}

/// Nothing that is counted is before 1970.
fn unsigned(number: i64) -> u128 {
    u128::from(number.max(0).unsigned_abs())
}

impl fmt::Debug for Key {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}:{}", self.kind(), self.detail())
    }
}

/// The bytes of a key.
#[derive(Debug, Clone, Copy)]
pub struct KeyBytes {
    bytes: [u8; BYTES],
    length: usize,
}

impl rusqlite::ToSql for KeyBytes {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(self.bytes[..self.length].into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_sort_as_keys_and_come_back(
            one in (0_u8..40, 0_u128..1 << DETAIL_BITS),
            other in (0_u8..40, prop_oneof![0_u128..1 << DETAIL_BITS, 0_u128..300]),
        ) {
            let (one, other) = (Key::new(one.0, one.1), Key::new(other.0, other.1));
            let (left, right) = (one.to_bytes(), other.to_bytes());
            let (left, right) = (&left.bytes[..left.length], &right.bytes[..right.length]);
            prop_assert_eq!(left.cmp(right), one.cmp(&other));
            prop_assert_eq!(Key::from_bytes(left), Some(one));
        }
    }

    #[test]
    fn every_key_of_a_kind_is_within_its_bounds() {
        let keys = [
            (kind::TOTAL, Key::total(Total::LastClick)),
            (kind::BREAKDOWN + 7, Key::breakdown(7, i64::MAX)),
            (kind::BUCKET, Key::bucket(i64::MAX, Sort::Other)),
            (kind::DAY, Key::day(i64::MAX)),
            (kind::VISITOR, Key::visitor(i64::MAX, u64::MAX)),
        ];
        for (kind, key) in keys {
            let (from, to) = Key::all_of(kind);
            assert!(from <= key && key < to, "{key:?}");
            assert_eq!(key.kind(), kind);
        }
        assert_eq!(Key::from_bytes(&[0; 14]), None);
    }
}
