//! What an earlier process left behind: read with ordinary reads, never mapped, never written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::PathBuf;

use events::Partition;
use uuid::Uuid;

use super::batch::{Batch, Limits};
use super::folder::{Budget, Folder, Reservation};
use super::format::{self, HEADER, Header, RECORD_HEADER};
use super::segment::remove;

/// An older spool. Its clicks keep its identity and their numbers.
#[derive(Debug)]
pub struct Leftover {
    /// Its identity.
    pub spool: Uuid,
    /// The segments that say what they are, by their first number. A copy made by hand may begin
    /// with the same number, and hold more or fewer clicks: all are read.
    segments: BTreeMap<(u64, PathBuf), Piece>,
    /// Those that do not.
    damaged: Vec<PathBuf>,
    reservations: Vec<Reservation>,
}

#[derive(Debug)]
struct Piece {
    partition: Partition,
    _reservation: Reservation,
}

/// One segment of an older spool, checked.
#[derive(Debug, Default)]
pub struct Chapter {
    /// The number of its first click.
    pub first: u64,
    /// Bytes behind the last whole record that are not zero: what could not be read back.
    pub torn: usize,
    bytes: Vec<u8>,
    /// Where each record begins, and where the last one ends.
    offsets: Vec<usize>,
}

/// Where the clicks of an older spool are, for counting them while others publish them.
#[derive(Debug, Clone)]
pub struct Census {
    /// Its identity.
    pub spool: Uuid,
    segments: Vec<(Header, PathBuf)>,
}

impl Leftover {
    fn new(spool: Uuid) -> Self {
        Self {
            spool,
            segments: BTreeMap::new(),
            damaged: Vec::new(),
            reservations: Vec::new(),
        }
    }

    /// All older spools in `folder`, oldest first. Their bytes count in `budget`.
    pub fn find(folder: &Folder, budget: &Budget) -> io::Result<Vec<Self>> {
        let mut spools = BTreeMap::<Uuid, Self>::new();
        for (spool, path) in folder.segments()? {
            let mut file = File::open(&path)?;
            let reservation = budget.take(file.metadata()?.len());
            let mut start = Vec::with_capacity(HEADER);
            file.by_ref().take(HEADER as u64).read_to_end(&mut start)?;
            let leftover = spools.entry(spool).or_insert_with(|| Self::new(spool));
            match Header::read(&start).map(|(header, _)| header) {
                Some(header) if header.spool == spool => {
                    let piece = Piece {
                        partition: header.partition,
                        _reservation: reservation,
                    };
                    leftover.segments.insert((header.first, path), piece);
                }
                _ => {
                    // One that was made ahead of need and never used is all zeros.
                    if start.iter().any(|byte| *byte != 0) {
                        tracing::error!(
                            path = %path.display(),
                            "an older spool has a segment with a damaged header: its clicks are lost"
                        );
                    }
                    leftover.damaged.push(path);
                    leftover.reservations.push(reservation);
                }
            }
        }
        Ok(spools.into_values().collect())
    }

    /// The partition to publish to, if any segment can be read.
    pub fn partition(&self) -> Option<Partition> {
        self.segments.values().next().map(|piece| piece.partition)
    }

    /// Where its clicks are.
    pub fn census(&self) -> Census {
        let segments = self.segments.iter().map(|((first, path), piece)| {
            let own = Header {
                spool: self.spool,
                partition: piece.partition,
                first: *first,
            };
            (own, path.clone())
        });
        Census {
            spool: self.spool,
            segments: segments.collect(),
        }
    }

    /// Reads the oldest segment; none if there is no more.
    pub fn read(&self) -> io::Result<Option<Chapter>> {
        let Some(((first, path), piece)) = self.segments.first_key_value() else {
            return Ok(None);
        };
        let own = Header {
            spool: self.spool,
            partition: piece.partition,
            first: *first,
        };
        Ok(Some(Chapter::check(own, std::fs::read(path)?)))
    }

    /// Every segment, oldest first.
    #[cfg(test)]
    pub(super) fn chapters(&self) -> impl Iterator<Item = Chapter> {
        self.segments.iter().map(|((first, path), piece)| {
            let own = Header {
                spool: self.spool,
                partition: piece.partition,
                first: *first,
            };
            Chapter::check(own, std::fs::read(path).unwrap())
        })
    }

    /// Deletes the oldest segment: all of its clicks are acknowledged.
    pub fn delete_first(&mut self) {
        if let Some(((_, path), _)) = self.segments.pop_first() {
            remove(&path);
        }
    }

    /// Deletes what is left of it.
    pub fn retire(mut self) {
        while !self.segments.is_empty() {
            self.delete_first();
        }
        for path in &self.damaged {
            remove(path);
        }
        self.reservations.clear();
    }
}

impl Census {
    /// The numbers of all whole clicks in the files that are still there, each once. Blocks.
    pub fn count(&self) -> Vec<Range<u64>> {
        let mut numbers = Vec::with_capacity(self.segments.len());
        let mut end = 0;
        for (own, path) in &self.segments {
            // Published meanwhile, or unreadable: then nobody knows how many there are.
            let Ok(bytes) = std::fs::read(path) else {
                continue;
            };
            let next = Chapter::check(*own, bytes).next();
            // A copy made by hand may hold what another one holds.
            numbers.push(own.first.max(end)..next);
            end = end.max(next);
        }
        numbers
    }
}

impl Chapter {
    /// Finds the whole records. The first bad one ends the segment: behind it nothing is sure.
    fn check(own: Header, bytes: Vec<u8>) -> Self {
        let mut chapter = Self {
            first: own.first,
            ..Self::default()
        };
        let mut offset = 0;
        // A file that changed since it was listed holds no clicks of this segment.
        if let Some((_, seed)) = Header::read(&bytes).filter(|(header, _)| *header == own) {
            offset = HEADER;
            chapter.offsets.push(offset);
            let mut number = own.first;
            while let Some(click) = format::read_record(&bytes[offset..], seed, number) {
                offset += RECORD_HEADER + click.len();
                chapter.offsets.push(offset);
                number += 1;
            }
        }
        let last = bytes[offset..].iter().rposition(|byte| *byte != 0);
        chapter.torn = last.map_or(0, |last| last + 1);
        chapter.bytes = bytes;
        chapter
    }

    /// The number behind the last whole click.
    pub fn next(&self) -> u64 {
        self.first + self.offsets.len().saturating_sub(1) as u64
    }

    /// The clicks from `from` on, as many as `limits` allow; none if there are no more.
    pub fn batch(&self, from: u64, limits: Limits) -> Option<Batch> {
        let from = from.max(self.first);
        let skip = usize::try_from(from - self.first).ok()?;
        let mut batch = Batch::new(from);
        for record in self.offsets.windows(2).skip(skip) {
            let click = &self.bytes[record[0] + RECORD_HEADER..record[1]];
            if !batch.takes(click.len(), limits) {
                break;
            }
            batch.push(click);
        }
        (!batch.is_empty()).then_some(batch)
    }
}
