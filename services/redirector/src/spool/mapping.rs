//! The one place with `unsafe`: a preallocated file, mapped into memory.
//!
//! Writing through a mapping costs a copy and no system call, and what was written belongs to the
//! kernel at once: it survives the death of the process, as after `write(2)`.
//!
//! Invariants, which [`Mapping::create`] establishes and nothing else touches:
//!
//! 1. **The file is ours alone.** It is made here (`create_new`, mode 0600), in a folder whose lock
//!    this process holds, and its name is never used again. Older segments are read with ordinary
//!    reads, never mapped. So no other mapping of it exists, and bytes change only through `&mut`.
//! 2. **Every byte of the mapping has its block on the disk.** `fallocate` comes before the
//!    mapping: a full disk is an error there, and never a SIGBUS at a later store.
//! 3. **The file keeps its length.** Nothing here truncates it; it is deleted by its name, which
//!    leaves a mapping whole until it is dropped.
//!
//! What stays outside: somebody who may write into the folder and truncates a segment by hand, or a
//! disk that fails to read back a page, ends the process with SIGBUS. Neither gives wrong clicks.
#![expect(
    unsafe_code,
    reason = "a mapped file is the cheapest log that survives the process"
)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use memmap2::{MmapMut, MmapOptions};
use rustix::fs::{FallocateFlags, fallocate};

/// Bytes that a segment writes into: a file's, or plain memory.
#[derive(Debug)]
pub(super) struct Mapping {
    bytes: MmapMut,
    file: Option<Arc<File>>,
}

impl Mapping {
    /// Makes the file `path` of `length` zero bytes, reserves its blocks, and maps it.
    /// Leaves no file behind if that fails.
    pub(super) fn create(path: &Path, length: usize) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        match Self::reserve(&file, length) {
            Ok(bytes) => Ok(Self {
                bytes,
                file: Some(Arc::new(file)),
            }),
            Err(error) => {
                // The first failure is the one to tell.
                let _ = std::fs::remove_file(path);
                Err(error)
            }
        }
    }

    /// As many zero bytes of plain memory.
    pub(super) fn anonymous(length: usize) -> io::Result<Self> {
        Ok(Self {
            bytes: MmapMut::map_anon(length)?,
            file: None,
        })
    }

    fn reserve(file: &File, length: usize) -> io::Result<MmapMut> {
        loop {
            match fallocate(file, FallocateFlags::empty(), 0, length as u64) {
                Ok(()) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // SAFETY: `file` was created by the caller a moment ago and is shared with nobody
        // (invariant 1), all of `0..length` is allocated (2), and no code truncates it (3).
        unsafe { MmapOptions::new().len(length).map_mut(file) }
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, to write into.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The file behind them, if there is one. On Linux its `sync_data` also writes what was stored
    /// through the mapping: `msync` is that very call.
    pub(super) fn file(&self) -> Option<&Arc<File>> {
        self.file.as_ref()
    }
}
