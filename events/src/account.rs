use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{DecodeError, decode_named, encode_named};

/// An account was closed: whoever keeps data of it erases that data and remembers the id for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountClosed {
    /// Whose account it was.
    pub user_id: Uuid,
    /// When it was closed, in milliseconds since 1970 (UTC).
    pub at_ms: i64,
}

impl AccountClosed {
    /// The bytes of the message: MessagePack with named fields.
    pub fn encode(&self) -> Vec<u8> {
        encode_named(self)
    }

    /// Reads what [`AccountClosed::encode`], of this or another version, wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_named("AccountClosed", bytes)
    }
}
