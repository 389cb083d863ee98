use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{DecodeError, decode_named, encode_named};

/// Whether a link leads anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// It redirects.
    Active,
    /// Its owner switched it off.
    Disabled,
}

/// A link as redirectors need it: the value of the bucket `links` under the link's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// The link itself. A code that is deleted and taken again belongs to another link.
    pub link_id: Uuid,
    /// The account that made it.
    pub owner_id: Uuid,
    /// The path under the public URL: 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub code: String,
    /// Where it leads: an absolute `http` or `https` URL of at most 8,192 bytes.
    pub url: String,
    /// Grows with each change of this link, so that an older record never replaces a newer one.
    pub version: u64,
    /// Whether it leads anywhere.
    pub state: LinkState,
    /// Not followed before this time, in milliseconds since 1970 (UTC).
    #[serde(default)]
    pub valid_from_ms: Option<i64>,
    /// Not followed from this time on, in milliseconds since 1970 (UTC).
    #[serde(default)]
    pub valid_until_ms: Option<i64>,
    /// How many clicks it may have, for a later version; nobody sets it yet.
    #[serde(default)]
    pub max_clicks: Option<u64>,
    /// Where a visitor is sent once the link is closed.
    #[serde(default)]
    pub fallback_url: Option<String>,
    /// 301, 302, 307 or 308.
    pub redirect_status: u16,
}

impl LinkRecord {
    /// The bytes of the value: MessagePack with named fields.
    pub fn encode(&self) -> Vec<u8> {
        encode_named(self)
    }

    /// Reads what [`LinkRecord::encode`], of this or another version, wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_named("LinkRecord", bytes)
    }
}
