//! Consecutive clicks on their way out of a spool.

use std::ops::Range;

/// How much goes into one batch.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// At most so many clicks.
    pub clicks: usize,
    /// At most so many bytes, but always one click.
    pub bytes: usize,
}

/// Consecutive clicks, encoded, with the number of the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    first: u64,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// An empty one that begins at `first`.
    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            ..Self::default()
        }
    }

    /// Whether another click of `length` bytes stays within `limits`.
    pub(super) fn takes(&self, length: usize, limits: Limits) -> bool {
        self.ends.is_empty()
            || (self.ends.len() < limits.clicks && self.bytes.len() + length <= limits.bytes)
    }

    /// Adds the next click.
    pub(super) fn push(&mut self, click: &[u8]) {
        self.bytes.extend_from_slice(click);
        self.ends.push(self.bytes.len());
    }

    /// The number of the first click.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number behind the last click.
    pub fn next(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    /// How many clicks it holds.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The clicks, in order.
    pub fn clicks(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        (0..self.ends.len()).map(|index| &self.bytes[self.range(index)])
    }

    fn range(&self, index: usize) -> Range<usize> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[index]
    }
}
