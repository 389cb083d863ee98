//! Clicks and the batches in which they travel.
//!
//! A click is positional and encoded once, into the redirector's spool. A batch is a record with
//! named fields: what its clicks have in common (links, owners, user agents and other texts) stands
//! in it once, and the clicks refer to it.

mod batch;
mod compact;
mod positional;

use std::sync::Arc;

use uuid::Uuid;

pub use batch::{ClickBatch, decode_head, encode_batch};

use crate::DecodeError;

/// The longest referrer host that a click carries, in bytes.
pub const MAX_REFERRER: usize = 255;
/// The longest user agent that a click carries, in bytes.
pub const MAX_USER_AGENT: usize = 512;
/// The longest language tag that a click carries, in bytes.
pub const MAX_LANGUAGE: usize = 8;

/// One answered request of an open link. Clicks of one batch share their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    /// The link that was followed.
    pub link_id: Uuid,
    /// The account that owns it.
    pub owner_id: Uuid,
    /// The code under which it was followed.
    pub code: Arc<str>,
    /// When it was answered, in milliseconds since 1970 (UTC), by the redirector's clock.
    pub at_ms: i64,
    /// What the request itself said about its kind.
    pub hints: Hints,
    /// The host of the page that led here, in lower case, at most 255 bytes; empty if none.
    pub referrer: Arc<str>,
    /// The user agent, at most 512 bytes; empty if none.
    pub user_agent: Arc<str>,
    /// The first language that the visitor prefers, as a primary tag (`de`); empty if none.
    pub language: Arc<str>,
    /// The country as ISO 3166-1 alpha-2, if a country database is configured.
    pub country: Option<Arc<str>>,
    /// A keyed hash of the visitor, of use within one day only.
    pub visitor: u64,
}

/// A click whose texts are somebody else's: what a redirector encodes, straight from the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Click`")]
pub struct ClickRef<'a> {
    pub link_id: Uuid,
    pub owner_id: Uuid,
    pub code: &'a str,
    pub at_ms: i64,
    pub hints: Hints,
    pub referrer: &'a str,
    pub user_agent: &'a str,
    pub language: &'a str,
    pub country: Option<&'a str>,
    pub visitor: u64,
}

impl<'a> From<&'a Click> for ClickRef<'a> {
    fn from(click: &'a Click) -> Self {
        Self {
            link_id: click.link_id,
            owner_id: click.owner_id,
            code: &click.code,
            at_ms: click.at_ms,
            hints: click.hints,
            referrer: &click.referrer,
            user_agent: &click.user_agent,
            language: &click.language,
            country: click.country.as_deref(),
            visitor: click.visitor,
        }
    }
}

/// What a request said about its own kind: a set of bits. Unknown bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hints(u16);

impl Hints {
    /// Nothing special: a plain GET.
    pub const NONE: Self = Self(0);
    /// The method was HEAD.
    pub const HEAD: Self = Self(1);
    /// A header called it a prefetch or prerender.
    pub const PREFETCH: Self = Self(2);

    /// The bits as they travel.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Hints from the bits of any version.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every bit of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Appends the bytes of `click` to `to`.
pub fn encode<'a>(click: impl Into<ClickRef<'a>>, to: &mut Vec<u8>) {
    rmp_serde::encode::write(to, &click.into()).expect("plain data into memory always encodes");
}

/// Reads one click from exactly `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Click, DecodeError> {
    crate::decode_named("Click", bytes)
}
