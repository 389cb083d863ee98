//! The bytes of a segment: a header, then records, then zeros.
//!
//! ```text
//! header   magic 8 · version u32 · partition u32 · spool 16 · first number u64 · crc32c u32
//! record   length u32 · crc32c u32 · number u64 · click (length bytes)
//! ```
//!
//! Integers are little-endian. A record's checksum covers its length, its number, its click and,
//! through the header's checksum, the segment that it stands in: a block of another segment, or an
//! older one of the same place, is never taken for a record.

use events::Partition;
use uuid::Uuid;

/// Says that a file is a segment of a spool.
const MAGIC: [u8; 8] = *b"kurzclk\x01";
/// The layout described above.
const VERSION: u32 = 1;
/// Length of a segment's header in bytes.
pub(super) const HEADER: usize = 44;
/// Length in bytes of what stands before a click.
pub(super) const RECORD_HEADER: usize = 16;
/// The longest click in bytes. One of bounded fields takes less than 2 KiB; a length beyond this is
/// damage.
pub(crate) const MAX_CLICK: usize = 16 * 1024;

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The spool that it belongs to.
    pub(super) spool: Uuid,
    /// The partition of that spool.
    pub(super) partition: Partition,
    /// The number of its first click.
    pub(super) first: u64,
}

impl Header {
    /// Writes it at the start of `segment`; the seed of its records' checksums.
    pub(super) fn write(&self, segment: &mut [u8]) -> u32 {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.partition.to_bits().to_le_bytes());
        bytes[16..32].copy_from_slice(self.spool.as_bytes());
        bytes[32..40].copy_from_slice(&self.first.to_le_bytes());
        let seed = crc32c::crc32c(&bytes[..40]);
        bytes[40..].copy_from_slice(&seed.to_le_bytes());
        segment[..HEADER].copy_from_slice(&bytes);
        seed
    }

    /// Reads it back with the seed of the records; none if this is not a whole header of this
    /// version.
    pub(super) fn read(segment: &[u8]) -> Option<(Self, u32)> {
        let bytes = segment.get(..HEADER)?;
        let seed = u32_at(bytes, 40);
        if bytes[..8] != MAGIC
            || u32_at(bytes, 8) != VERSION
            || crc32c::crc32c(&bytes[..40]) != seed
        {
            return None;
        }
        let header = Self {
            spool: Uuid::from_slice(&bytes[16..32]).ok()?,
            partition: Partition::from_bits(u32_at(bytes, 12)),
            first: u64_at(bytes, 32),
        };
        Some((header, seed))
    }
}

/// The part of a record's checksum that can be computed before its number is known.
pub(super) fn checksum_of_click(click: &[u8]) -> u32 {
    crc32c::crc32c(click)
}

/// Writes a record at the start of `to`; its length in bytes.
pub(super) fn write_record(
    to: &mut [u8],
    seed: u32,
    number: u64,
    click: &[u8],
    checksum_of_click: u32,
) -> usize {
    let length = u32::try_from(click.len()).expect("a click is at most MAX_CLICK bytes long");
    to[..4].copy_from_slice(&length.to_le_bytes());
    to[4..8].copy_from_slice(&seal(checksum_of_click, seed, number, length).to_le_bytes());
    to[8..16].copy_from_slice(&number.to_le_bytes());
    to[RECORD_HEADER..RECORD_HEADER + click.len()].copy_from_slice(click);
    RECORD_HEADER + click.len()
}

/// The click of the record at the start of `from`, if it is whole and has this number.
pub(super) fn read_record(from: &[u8], seed: u32, number: u64) -> Option<&[u8]> {
    let header = from.get(..RECORD_HEADER)?;
    let length = u32_at(header, 0);
    let bytes = usize::try_from(length)
        .ok()
        .filter(|bytes| (1..=MAX_CLICK).contains(bytes))?;
    let click = from.get(RECORD_HEADER..RECORD_HEADER + bytes)?;
    let whole = u64_at(header, 8) == number
        && u32_at(header, 4) == seal(checksum_of_click(click), seed, number, length);
    whole.then_some(click)
}

/// The length in bytes of the click of a record that is known to be whole.
pub(super) fn click_length(record: &[u8]) -> usize {
    u32_at(record, 0) as usize
}

fn seal(checksum_of_click: u32, seed: u32, number: u64, length: u32) -> u32 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    bytes[12..].copy_from_slice(&seed.to_le_bytes());
    crc32c::crc32c_append(checksum_of_click, &bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
