//! The contract between the services of kurz: subjects, streams, payloads and their bytes.
//!
//! Data only. Nothing here opens a connection or knows a runtime. Inside `v1` everything is
//! additive: a reader accepts what an older or a newer writer of `v1` sends. Where it can't, as a
//! reader of before batches had lists, it refuses the whole message and takes it for no other one.
//! The golden files in `events/golden` hold the bytes of every version that was ever released.

mod account;
pub mod click;
mod link;
mod partition;
mod spool;
pub mod streams;
pub mod subjects;

pub use account::AccountClosed;
pub use click::{Click, ClickBatch, ClickRef, Hints};
pub use link::{LinkRecord, LinkState};
pub use partition::Partition;
pub use spool::{SpoolReport, SpoolState};
pub use streams::StreamSpec;

/// The media type of every message between the services.
pub const CONTENT_TYPE: &str = "application/msgpack";

/// A payload that is not what its subject promises.
#[derive(Debug, thiserror::Error)]
#[error("not a valid {what}: {reason}")]
pub struct DecodeError {
    /// The type that was expected.
    what: &'static str,
    /// What the decoder found instead.
    reason: String,
}

impl DecodeError {
    fn new(what: &'static str, reason: &impl ToString) -> Self {
        Self {
            what,
            reason: reason.to_string(),
        }
    }
}

/// Encodes a record as MessagePack with named fields.
fn encode_named(record: &impl serde::Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(record).expect("plain data into memory always encodes")
}

/// Decodes a record with named fields; unknown fields are skipped.
fn decode_named<'a, T: serde::Deserialize<'a>>(
    what: &'static str,
    bytes: &'a [u8],
) -> Result<T, DecodeError> {
    rmp_serde::from_slice(bytes).map_err(|error| DecodeError::new(what, &error))
}
