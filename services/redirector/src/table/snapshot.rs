//! The snapshot of the link table beside the spool, for a start without the bus.
//!
//! ```text
//! "KURZLT1\n"  saved_at_ms i64  sequence u64  epoch length u16, epoch
//! for each link: length u32, bytes     0 u32     CRC-32C of all before u32
//! ```
//!
//! Numbers are little-endian. It is written under another name, fsynced and renamed, so that there
//! is always a whole one. What changes while it is written may or may not be in it: it is caught up
//! from a sequence that was taken before the writing began, and changes may be applied twice.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Link, LinkTable, Place};

const MAGIC: &[u8; 8] = b"KURZLT1\n";
/// The file's name inside the spool's folder.
const NAME: &str = "links.snapshot";
/// Where it is written before it is renamed.
const NEXT: &str = "links.snapshot.next";
/// No link is longer: two URLs, a code and the head. A length beyond it is a damaged file.
const MAX_LINK: u32 = 128 * 1024;
/// A stream's identity is a UUID; anything much longer is a damaged file.
const MAX_EPOCH: u16 = 256;
/// How much is written before the disk has to take it, in bytes: all of it at once would keep others
/// from the disk, and from a processor, for long.
const SYNCED: usize = 4 << 20;

/// Reads and writes the snapshots of one folder.
#[derive(Debug, Clone)]
pub struct Snapshots {
    folder: PathBuf,
}

/// What a snapshot was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Where in the bucket's stream it can be caught up from.
    pub place: Place,
    /// When it was written, in milliseconds since 1970.
    pub saved_at_ms: i64,
}

impl Snapshots {
    /// The snapshots in `folder`, which need not exist yet.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Reads the snapshot into `table`. None if there is none; an error leaves the table as it was.
    pub fn load(&self, table: &LinkTable) -> io::Result<Option<Loaded>> {
        let file = match File::open(self.folder.join(NAME)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut from = Checked {
            inner: BufReader::new(file),
            crc: 0,
        };
        if &from.array::<8>()? != MAGIC {
            return Err(damaged("not a snapshot of this version"));
        }
        let saved_at_ms = i64::from_le_bytes(from.array()?);
        let sequence = u64::from_le_bytes(from.array()?);
        let epoch_length = u16::from_le_bytes(from.array()?);
        if epoch_length > MAX_EPOCH {
            return Err(damaged("impossible length of the epoch"));
        }
        let epoch = String::from_utf8(from.bytes(usize::from(epoch_length))?)
            .map_err(|_| damaged("the epoch is not text"))?;
        // Into a list first: nothing of a file whose checksum is wrong may be served.
        let mut links = Vec::new();
        loop {
            let length = u32::from_le_bytes(from.array()?);
            if length == 0 {
                break;
            }
            if length > MAX_LINK {
                return Err(damaged("impossible length of a link"));
            }
            let bytes = from.bytes(length as usize)?.into_boxed_slice();
            links.push(Link::from_bytes(bytes).ok_or_else(|| damaged("a link is damaged"))?);
        }
        let expected = from.crc;
        if u32::from_le_bytes(from.array()?) != expected {
            return Err(damaged("the checksum is wrong"));
        }
        table.expect(links.len());
        for link in links {
            table.put(link);
        }
        Ok(Some(Loaded {
            place: Place {
                epoch: Arc::from(epoch),
                sequence,
            },
            saved_at_ms,
        }))
    }

    /// Writes `table` as it was at `place` or later. Atomic: the old snapshot stays until the new
    /// one is whole and on disk. `rest` is called after each piece of it, with the time that the piece
    /// took.
    pub fn save(
        &self,
        table: &LinkTable,
        place: &Place,
        now_ms: i64,
        rest: impl Fn(Duration),
    ) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let next = self.folder.join(NEXT);
        let mut to = Checked {
            inner: BufWriter::new(File::create(&next)?),
            crc: 0,
        };
        let epoch_length =
            u16::try_from(place.epoch.len()).map_err(|_| damaged("the epoch is too long"))?;
        to.put(MAGIC)?;
        to.put(&now_ms.to_le_bytes())?;
        to.put(&place.sequence.to_le_bytes())?;
        to.put(&epoch_length.to_le_bytes())?;
        to.put(place.epoch.as_bytes())?;
        let mut unsynced = 0;
        for links in table.pieces() {
            let began = Instant::now();
            for link in links {
                let length = link.bytes().len();
                let length = u32::try_from(length).map_err(|_| damaged("a long link"))?;
                to.put(&length.to_le_bytes())?;
                to.put(link.bytes())?;
                unsynced += link.bytes().len();
            }
            if unsynced >= SYNCED {
                unsynced = 0;
                to.inner.flush()?;
                to.inner.get_ref().sync_data()?;
            }
            rest(began.elapsed());
        }
        to.put(&0_u32.to_le_bytes())?;
        let crc = to.crc;
        to.put(&crc.to_le_bytes())?;
        to.inner
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        fs::rename(&next, self.folder.join(NAME))?;
        File::open(&self.folder)?.sync_all()
    }
}

/// A file and the checksum of what went through so far.
struct Checked<F> {
    inner: F,
    crc: u32,
}

impl<R: Read> Checked<R> {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        Ok(bytes)
    }

    fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.inner.read_exact(&mut bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        Ok(bytes)
    }
}

impl<W: Write> Checked<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.inner.write_all(bytes)
    }
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use events::{LinkRecord, LinkState};
    use uuid::Uuid;

    use super::*;
    use crate::table::tests::find;

    fn table(links: u128) -> LinkTable {
        let table = LinkTable::new();
        for number in 0..links {
            let record = LinkRecord {
                link_id: Uuid::from_u128(number),
                owner_id: Uuid::from_u128(1),
                code: format!("c{number}"),
                url: format!("https://example.org/{number}"),
                version: 1,
                state: LinkState::Active,
                valid_from_ms: (number % 3 == 0).then_some(17),
                valid_until_ms: None,
                max_clicks: None,
                fallback_url: (number % 5 == 0).then(|| "https://example.net/".into()),
                redirect_status: 302,
            };
            table.put(Link::pack(&record).unwrap());
        }
        table
    }

    fn place() -> Place {
        Place {
            epoch: "0198-epoch".into(),
            sequence: 42,
        }
    }

    #[test]
    fn a_snapshot_gives_the_table_back() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::new(folder.path());
        let table = table(500);
        snapshots.save(&table, &place(), 99, |_| ()).unwrap();
        let again = LinkTable::new();
        let loaded = snapshots.load(&again).unwrap().unwrap();
        assert_eq!(
            loaded,
            Loaded {
                place: place(),
                saved_at_ms: 99
            }
        );
        assert_eq!(again.len(), 500);
        for link in table.pieces().flatten() {
            assert_eq!(find(&again, link.code()), Some(link));
        }
    }

    #[test]
    fn what_every_released_version_left_can_be_read_and_is_what_this_one_writes() {
        let golden = include_bytes!("../../golden/links.v1.snapshot");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        fs::write(&path, golden).unwrap();
        let snapshots = Snapshots::new(folder.path());
        // One link, since the order of several is the table's.
        let (loaded, expected) = (LinkTable::new(), table(1));
        assert_eq!(
            snapshots.load(&loaded).unwrap().unwrap(),
            Loaded {
                place: place(),
                saved_at_ms: 1_767_225_600_123
            }
        );
        assert_eq!(loaded.len(), 1);
        assert_eq!(find(&loaded, "c0"), find(&expected, "c0"));
        snapshots
            .save(&expected, &place(), 1_767_225_600_123, |_| ())
            .unwrap();
        assert_eq!(fs::read(&path).unwrap(), golden);
    }

    #[test]
    fn no_snapshot_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let loaded = Snapshots::new(folder.path())
            .load(&LinkTable::new())
            .unwrap();
        assert_eq!(loaded, None);
    }

    #[test]
    fn a_damaged_snapshot_is_refused_wherever_the_damage_is() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::new(folder.path());
        snapshots.save(&table(6), &place(), 99, |_| ()).unwrap();
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x20;
            fs::write(&path, &flipped).unwrap();
            let empty = LinkTable::new();
            assert!(snapshots.load(&empty).is_err(), "byte {at} flipped");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(snapshots.load(&empty).is_err(), "cut at {at}");
            assert_eq!(empty.len(), 0);
        }
    }
}
