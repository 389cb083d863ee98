//! 128 bits that stand for a state: among 10⁸ states, two share them with a chance of 10⁻²³.

use std::hash::{BuildHasher, Hash, Hasher};

/// The fingerprint of a state.
pub(crate) fn fingerprint(state: &impl Hash) -> u128 {
    let mut hasher = Mixer {
        low: 0x243f_6a88_85a3_08d3,
        high: 0x1319_8a2e_0370_7344,
        word: 0,
        filled: 0,
    };
    state.hash(&mut hasher);
    hasher.mix();
    let low = hasher.finish();
    hasher.word = 0xa409_3822_299f_31d0;
    hasher.mix();
    u128::from(low) << 64 | u128::from(hasher.finish())
}

struct Mixer {
    low: u64,
    high: u64,
    /// What is not mixed in yet, and how many bits of it there are.
    word: u64,
    filled: u32,
}

impl Mixer {
    /// Values stand side by side: what was written before says how wide the next one is.
    fn push(&mut self, value: u64, bits: u32) {
        if self.filled + bits > u64::BITS {
            self.mix();
        }
        self.word |= value << self.filled;
        self.filled += bits;
    }

    fn mix(&mut self) {
        let word = std::mem::take(&mut self.word);
        self.filled = 0;
        self.low = folded(self.low ^ word, 0x9e37_79b9_7f4a_7c15);
        self.high = folded(
            self.high.wrapping_add(word) ^ self.low.rotate_left(23),
            0xd6e8_feb8_6659_fd93,
        );
    }
}

/// Both halves of the product, so that every bit of the word moves every bit of the result.
fn folded(word: u64, factor: u64) -> u64 {
    let product = u128::from(word) * u128::from(factor);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    let low = product as u64;
    low ^ (product >> 64) as u64
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        folded(self.low ^ self.high.rotate_left(32), 0xff51_afd7_ed55_8ccd)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.push(u64::from(*byte), 8);
        }
    }

    fn write_u16(&mut self, value: u16) {
        self.push(u64::from(value), 16);
    }

    fn write_u32(&mut self, value: u32) {
        self.push(u64::from(value), 32);
    }

    /// Lengths and variants: none needs more than a byte.
    fn write_usize(&mut self, value: usize) {
        debug_assert!(value < 256, "a model has no such long lists");
        self.push(value as u64, 8);
    }
}

/// Hashes fingerprints, which need no more mixing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mixed;

/// Half of a fingerprint.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Half(u64);

impl BuildHasher for Mixed {
    type Hasher = Half;

    fn build_hasher(&self) -> Half {
        Half::default()
    }
}

impl Hasher for Half {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[..8]);
        self.0 = u64::from_le_bytes(word);
    }
}
