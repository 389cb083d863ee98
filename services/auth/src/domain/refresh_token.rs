//! What keeps somebody signed in: a secret that works once.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of the part that all tokens of a family share: 128 bits can't be guessed.
const FAMILY: usize = 16;
/// Bytes of the part that is new in every token.
const SECRET: usize = 32;
/// Characters of a token in base64url without padding.
pub const TEXT_LENGTH: usize = (FAMILY + SECRET) * 4 / 3;

/// SHA-256 of (a part of) a token: what the database holds. A plain hash suffices, since there is
/// nothing to guess in 128 random bits and more.
pub type TokenHash = [u8; 32];

/// An opaque refresh token: the family's handle and 256 bits that are drawn anew for each.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(Zeroizing<[u8; FAMILY + SECRET]>);

impl RefreshToken {
    /// The first token of a new family.
    pub fn first() -> Self {
        let mut bytes = Zeroizing::new([0; FAMILY + SECRET]);
        bytes[..FAMILY].copy_from_slice(&rand::random::<[u8; FAMILY]>());
        bytes[FAMILY..].copy_from_slice(&rand::random::<[u8; SECRET]>());
        Self(bytes)
    }

    /// The token that takes this one's place.
    #[must_use]
    pub fn successor(&self) -> Self {
        let mut bytes = self.0.clone();
        bytes[FAMILY..].copy_from_slice(&rand::random::<[u8; SECRET]>());
        Self(bytes)
    }

    /// Reads what [`Self::reveal`] wrote; `None` if it never was a token of ours.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != TEXT_LENGTH {
            return None;
        }
        let mut bytes = Zeroizing::new([0; FAMILY + SECRET]);
        let length = URL_SAFE_NO_PAD
            .decode_slice(text, bytes.as_mut_slice())
            .ok()?;
        (length == FAMILY + SECRET).then_some(Self(bytes))
    }

    /// The text for its holder.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.as_slice())
    }

    /// Finds the family.
    pub fn family_hash(&self) -> TokenHash {
        Sha256::digest(&self.0[..FAMILY]).into()
    }

    /// Tells the token from the others of its family.
    pub fn hash(&self) -> TokenHash {
        Sha256::digest(self.0.as_slice()).into()
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_successor_is_of_the_family_and_yet_another() {
        let first = RefreshToken::first();
        let second = first.successor();
        assert_eq!(first.family_hash(), second.family_hash());
        assert_ne!(first.hash(), second.hash());
        assert_ne!(first.family_hash(), RefreshToken::first().family_hash());
    }

    #[test]
    fn the_text_reads_back() {
        let token = RefreshToken::first();
        let text = token.reveal();
        assert_eq!(text.len(), TEXT_LENGTH);
        assert_eq!(RefreshToken::parse(&text), Some(token));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in any::<String>()) {
            prop_assert!(RefreshToken::parse(&text).is_none_or(|token| token.reveal() == text));
        }

        #[test]
        fn one_token_has_one_spelling(text in "[A-Za-z0-9_-]{64}") {
            prop_assert_eq!(RefreshToken::parse(&text).unwrap().reveal(), text);
        }
    }
}
