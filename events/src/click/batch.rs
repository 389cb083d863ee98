use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Click;
use crate::{DecodeError, decode_named};

/// Consecutive clicks of one spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickBatch {
    /// The spool whose clicks these are: with a click's number its identity.
    pub spool: Uuid,
    /// The number of the first click in its spool; the others follow without a hole.
    pub first: u64,
    /// The clicks.
    pub clicks: Vec<Click>,
}

impl ClickBatch {
    /// The bytes of the message.
    pub fn encode(&self) -> Vec<u8> {
        let encoded: Vec<Vec<u8>> = self
            .clicks
            .iter()
            .map(|click| {
                let mut bytes = Vec::new();
                super::encode(click, &mut bytes);
                bytes
            })
            .collect();
        encode_batch(self.spool, self.first, encoded.iter().map(Vec::as_slice))
    }

    /// Reads what [`encode_batch`], of this or another version, wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_named("ClickBatch", bytes)
    }
}

/// The bytes of a batch around clicks that are already encoded.
///
/// `clicks` is walked twice, so that the message is allocated once.
pub fn encode_batch<'a, I>(spool: Uuid, first: u64, clicks: I) -> Vec<u8>
where
    I: ExactSizeIterator<Item = &'a [u8]> + Clone,
{
    // A record with named fields as rmp-serde writes it: what varies is the numbers' width.
    const OVERHEAD: usize = 64;
    let size: usize = clicks.clone().map(<[u8]>::len).sum();
    let mut bytes = Vec::with_capacity(OVERHEAD + size);
    bytes.push(0x83);
    write_key(&mut bytes, "spool");
    bytes.extend([0xc4, 16]);
    bytes.extend(spool.as_bytes());
    write_key(&mut bytes, "first");
    bytes.push(0xcf);
    bytes.extend(first.to_be_bytes());
    write_key(&mut bytes, "clicks");
    bytes.push(0xdd);
    let count = u32::try_from(clicks.len()).expect("a batch is bounded far below 4 billion clicks");
    bytes.extend(count.to_be_bytes());
    for click in clicks {
        bytes.extend(click);
    }
    bytes
}

/// Reads whose clicks a batch holds, the number of the first, and how many there are, and checks
/// that all of them can be read.
pub fn decode_head(bytes: &[u8]) -> Result<(Uuid, u64, u32), DecodeError> {
    let batch = ClickBatch::decode(bytes)?;
    let count = u32::try_from(batch.clicks.len())
        .map_err(|error| DecodeError::new("ClickBatch", &error))?;
    Ok((batch.spool, batch.first, count))
}

/// A short string: its length is in the marker.
fn write_key(bytes: &mut Vec<u8>, key: &str) {
    let length = u8::try_from(key.len()).expect("the keys are short");
    bytes.push(0xa0 | length);
    bytes.extend(key.as_bytes());
}
