//! One piece of a spool that is being written.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::Reservation;
use super::format::{self, HEADER, Header, RECORD_HEADER};
use super::mapping::Mapping;

/// A segment without a place in the log yet: made ahead of need.
#[derive(Debug)]
pub(super) struct Blank {
    mapping: Mapping,
    path: Option<PathBuf>,
    /// Gives its bytes back to the budget when the segment goes.
    reservation: Reservation,
}

impl Blank {
    /// A file at `path`, or plain memory.
    pub(super) fn create(path: Option<PathBuf>, reservation: Reservation) -> io::Result<Self> {
        let length = usize::try_from(reservation.bytes()).map_err(io::Error::other)?;
        let mapping = match &path {
            Some(path) => Mapping::create(path, length)?,
            None => Mapping::anonymous(length)?,
        };
        Ok(Self {
            mapping,
            path,
            reservation,
        })
    }

    /// Gives it its place.
    pub(super) fn begin(mut self, header: &Header) -> Segment {
        let seed = header.write(self.mapping.bytes_mut());
        Segment {
            blank: self,
            seed,
            first: header.first,
            next: header.first,
            end: HEADER,
        }
    }

    /// Deletes the file. What can't be deleted is an empty older spool to the next start.
    pub(super) fn delete(self) {
        if let Some(path) = &self.path {
            remove(path);
        }
        drop(self.reservation);
    }
}

/// Records `first..next`, in the bytes `HEADER..end`.
#[derive(Debug)]
pub(super) struct Segment {
    blank: Blank,
    seed: u32,
    first: u64,
    next: u64,
    end: usize,
}

impl Segment {
    /// The number of its first click.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number behind its last click.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Whether a click of `length` bytes finds room.
    pub(super) fn fits(&self, length: usize) -> bool {
        self.blank.mapping.bytes().len() - self.end >= RECORD_HEADER + length
    }

    /// Whether more than half of it is used.
    pub(super) fn is_half_full(&self) -> bool {
        self.end > self.blank.mapping.bytes().len() / 2
    }

    /// Appends a click that fits.
    pub(super) fn push(&mut self, click: &[u8], checksum_of_click: u32) {
        let free = &mut self.blank.mapping.bytes_mut()[self.end..];
        self.end += format::write_record(free, self.seed, self.next, click, checksum_of_click);
        self.next += 1;
    }

    /// The click of the record at `offset` and the offset behind it.
    pub(super) fn click_at(&self, offset: usize) -> (&[u8], usize) {
        let record = &self.blank.mapping.bytes()[offset..self.end];
        let behind = RECORD_HEADER + format::click_length(record);
        (&record[RECORD_HEADER..behind], offset + behind)
    }

    /// Where the record `number` begins.
    pub(super) fn find(&self, number: u64) -> usize {
        (self.first..number).fold(HEADER, |offset, _| self.click_at(offset).1)
    }

    /// The file to sync, if there is one.
    pub(super) fn file(&self) -> Option<&Arc<File>> {
        self.blank.mapping.file()
    }

    /// Deletes it.
    pub(super) fn delete(self) {
        self.blank.delete();
    }
}

/// Deletes a file; a failure is told, and left to the next start.
pub(super) fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "can't delete a segment of the spool");
    }
}
