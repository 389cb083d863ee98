//! Tokens whose signature was found right: to verify one takes some 30 µs, and who makes many
//! requests makes them with the same one.

use std::fmt;

use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::Caller;

/// How many tokens are remembered: some 150 bytes each.
const MOST: usize = 10_000;

/// What stands for a token, so that no token lies in the memory for longer than its request.
pub(super) type Fingerprint = [u8; 32];

/// The fingerprint of a token, its signature included.
pub(super) fn fingerprint(token: &str) -> Fingerprint {
    Sha256::digest(token).into()
}

/// What a verified token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    /// Whose it is.
    pub(super) caller: Caller,
    /// When it ends, in seconds since 1970.
    pub(super) ends: i64,
}

/// What verified tokens say, each with the generation of the keys that verified it. Only good ones
/// get here, so nobody can fill it with rubbish.
pub(super) struct Verified(Cache<Fingerprint, (u64, Session)>);

impl Default for Verified {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Verified {
    /// What the token says, if it was verified with the keys of this generation.
    pub(super) fn find(&self, token: &Fingerprint, generation: u64) -> Option<Session> {
        let (of, session) = self.0.get(token)?;
        (of == generation).then_some(session)
    }

    /// Remembers what a token says.
    pub(super) fn keep(&self, token: Fingerprint, generation: u64, session: Session) {
        self.0.insert(token, (generation, session));
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verified").field(&self.0.len()).finish()
    }
}
