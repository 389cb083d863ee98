//! Into which parts the accounts are divided, so that several processes can count.

use std::borrow::Cow;
use std::fmt;

use uuid::Uuid;

use crate::StreamSpec;

/// One of the parts into which the accounts are divided, and with them their clicks. Each has
/// streams and a database of its own; nothing of one is in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    number: u32,
    of: u32,
}

impl Partition {
    /// The most partitions that there can be: each has streams, and each redirector a spool for it.
    pub const MOST: u32 = 64;

    /// The only one, which has every account.
    pub const WHOLE: Self = Self { number: 0, of: 1 };

    /// The partition `number`, from 0 on, of so many; none if there can't be such a one.
    pub fn new(number: u32, of: u32) -> Option<Self> {
        (number < of && of <= Self::MOST).then_some(Self { number, of })
    }

    /// All of so many, in order.
    pub fn all(of: u32) -> impl Iterator<Item = Self> {
        (0..of).map(move |number| Self { number, of })
    }

    /// The one of so many that an account is in: for ever, and for everybody who asks.
    pub fn of_account(user_id: Uuid, of: u32) -> Self {
        let number = match of {
            0 | 1 => 0,
            of => crc32c::crc32c(user_id.as_bytes()) % of,
        };
        Self {
            number,
            of: of.max(1),
        }
    }

    /// Its number, from 0 on.
    pub fn number(self) -> u32 {
        self.number
    }

    /// How many there are.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Whether there are others.
    pub fn is_one_of_many(self) -> bool {
        self.of > 1
    }

    /// Whether an account is in it.
    pub fn holds(self, user_id: Uuid) -> bool {
        Self::of_account(user_id, self.of) == self
    }

    /// In a number, as it stands in the files of spools: how many there are in the upper half, but
    /// nothing there as long as there is one.
    pub fn to_bits(self) -> u32 {
        if self.is_one_of_many() {
            self.of << 16 | self.number
        } else {
            self.number
        }
    }

    /// What [`Partition::to_bits`] wrote. An earlier version wrote the number alone, and published
    /// to the one stream that there was.
    pub fn from_bits(bits: u32) -> Self {
        Self {
            number: bits & 0xffff,
            of: (bits >> 16).max(1),
        }
    }

    /// What `name` of one that every partition has is called in this one: as it is while there is
    /// one, and else with its number and how many there are. A stream can so not be taken for one
    /// of another division.
    pub(crate) fn name(self, name: &'static str) -> Cow<'static, str> {
        if self.is_one_of_many() {
            format!("{name}_{}_OF_{}", self.number, self.of).into()
        } else {
            name.into()
        }
    }

    /// What it takes of a subject pattern: all of it while there is one, and else what has its
    /// number in the next token.
    pub(crate) fn subject(self, pattern: &'static str) -> Cow<'static, str> {
        match pattern.strip_suffix('>') {
            Some(prefix) if self.is_one_of_many() => format!("{prefix}{}.>", self.number).into(),
            _ => pattern.into(),
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} of {}", self.number, self.of)
    }
}

impl StreamSpec {
    /// Its name in a partition.
    pub fn name_in(&self, partition: Partition) -> Cow<'static, str> {
        if self.partitioned {
            partition.name(self.name)
        } else {
            self.name.into()
        }
    }

    /// The subjects that it stores in a partition.
    pub fn subjects_in(&self, partition: Partition) -> impl Iterator<Item = Cow<'static, str>> {
        self.subjects.iter().map(move |&pattern| {
            if self.partitioned {
                partition.subject(pattern)
            } else {
                pattern.into()
            }
        })
    }

    /// All streams that it stands for when there are so many partitions.
    pub fn names(&self, partitions: u32) -> Vec<Cow<'static, str>> {
        if self.partitioned {
            Partition::all(partitions)
                .map(|partition| self.name_in(partition))
                .collect()
        } else {
            vec![self.name.into()]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{streams, subjects};

    #[test]
    fn an_account_is_in_one_partition_for_ever() {
        // Numbers that were released: another hash would tear accounts apart.
        let numbers = |of| {
            (0..8)
                .map(|id| Partition::of_account(Uuid::from_u128(id), of).number())
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(1), [0; 8]);
        assert_eq!(numbers(3), OF_3);
        for id in (0..1_000).map(Uuid::from_u128) {
            let holders = Partition::all(7).filter(|partition| partition.holds(id));
            assert_eq!(holders.count(), 1);
        }
    }

    const OF_3: [u32; 8] = [2, 2, 0, 2, 1, 0, 1, 0];

    #[test]
    fn there_is_no_partition_beyond_the_last() {
        assert!(Partition::new(2, 3).is_some());
        assert!(Partition::new(3, 3).is_none());
        assert!(Partition::new(0, 0).is_none());
        assert!(Partition::new(0, Partition::MOST).is_some());
        assert!(Partition::new(0, Partition::MOST + 1).is_none());
    }

    #[test]
    fn what_a_file_says_is_read_again() {
        for of in [1, 2, 3, Partition::MOST] {
            for partition in Partition::all(of) {
                assert_eq!(Partition::from_bits(partition.to_bits()), partition);
            }
        }
        assert_eq!(Partition::WHOLE.to_bits(), 0);
        // Of an earlier version.
        let third = Partition::from_bits(2);
        assert_eq!((third.number(), third.of()), (2, 1));
        assert_eq!(streams::CLICKS.name_in(third), "CLICKS");
    }

    #[test]
    fn alone_it_has_the_names_that_were_released() {
        let whole = Partition::WHOLE;
        assert_eq!(streams::CLICKS.name_in(whole), "CLICKS");
        let subjects: Vec<_> = streams::CLICKS.subjects_in(whole).collect();
        assert_eq!(subjects, [subjects::CLICKS_ALL]);
        assert_eq!(streams::CLICKS.names(1), ["CLICKS"]);
    }

    #[test]
    fn each_of_many_has_streams_of_its_own() {
        let second = Partition::new(1, 3).unwrap();
        assert_eq!(streams::CLICKS.name_in(second), "CLICKS_1_OF_3");
        let subjects: Vec<_> = streams::CLICKS.subjects_in(second).collect();
        assert_eq!(subjects, ["clicks.v1.1.>"]);
        assert_eq!(streams::SPOOLS.name_in(second), "SPOOLS");
        assert_eq!(streams::CLICKS.names(2), ["CLICKS_0_OF_2", "CLICKS_1_OF_2"]);
        assert_eq!(streams::SPOOLS.names(2), ["SPOOLS"]);
    }
}
