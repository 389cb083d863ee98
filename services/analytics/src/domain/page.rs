use super::Invalid;

/// The most entries on one page: enough for a screen, and little enough to answer at once.
const MAX_LIMIT: u32 = 100;

/// The entries on a page for who does not say.
const DEFAULT_LIMIT: u32 = 20;

/// How many entries a page may hold: 1 to [`MAX_LIMIT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// The number, at least 1.
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

impl TryFrom<u32> for Limit {
    type Error = Invalid;

    fn try_from(limit: u32) -> Result<Self, Invalid> {
        if (1..=MAX_LIMIT).contains(&limit) {
            return Ok(Self(limit));
        }
        Err(Invalid::new(format!(
            "a limit is a number from 1 to {MAX_LIMIT}"
        )))
    }
}
