use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{DecodeError, decode_named, encode_named};

/// How far a redirector's spool has come, by its own account: what the audit compares with the
/// stream and with the counters.
///
/// The numbers only grow: who reports a spool of an earlier process starts from what that process
/// reported last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolReport {
    /// The spool.
    pub spool: Uuid,
    /// The partition that its clicks are published to.
    pub partition: u32,
    /// The number behind the last click that was ever appended.
    pub appended: u64,
    /// Every click before this number is known to be in the stream.
    pub acknowledged: u64,
    /// When this was so, in milliseconds since 1970 (UTC).
    pub at_ms: i64,
    /// Whether there is more to come.
    pub state: SpoolState,
    /// How many partitions there were when it was written. One is left out.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub partitions: u32,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_one(partitions: &u32) -> bool {
    *partitions == 1
}

/// What becomes of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpoolState {
    /// It is written, or what is left of it waits to be published.
    Open,
    /// Nothing of it will be published any more: what was appended and not acknowledged is lost.
    Retired,
}

impl SpoolReport {
    /// The bytes of the message: MessagePack with named fields.
    pub fn encode(&self) -> Vec<u8> {
        encode_named(self)
    }

    /// Reads what [`SpoolReport::encode`], of this or another version, wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_named("SpoolReport", bytes)
    }
}
