use std::path::PathBuf;

use events::Partition;

use super::super::{Budget, Folder, Leftover, Limits, Spool};

/// A folder for spools that goes with its value.
pub(super) struct Disk {
    pub(super) folder: Folder,
    pub(super) budget: Budget,
    temporary: tempfile::TempDir,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self::with_budget(1 << 30)
    }

    pub(super) fn with_budget(bytes: u64) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(&temporary.path().join("spool")).unwrap();
        Self {
            folder,
            budget: Budget::new(bytes),
            temporary,
        }
    }

    pub(super) fn spool(&self, bytes: u64) -> Spool {
        let partition = Partition::new(3, 4).unwrap();
        Spool::open(
            partition,
            Some(self.folder.clone()),
            self.budget.clone(),
            bytes,
        )
        .unwrap()
    }

    /// All segments, in the order in which they were made.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = self
            .folder
            .segments()
            .unwrap()
            .into_iter()
            .map(|(_, path)| path)
            .collect();
        files.sort();
        files
    }

    pub(super) fn leftovers(&self) -> Vec<Leftover> {
        Leftover::find(&self.folder, &Budget::new(0)).unwrap()
    }

    /// Gives the lock back.
    pub(super) fn close(self) -> (PathBuf, tempfile::TempDir) {
        (self.folder.path().to_owned(), self.temporary)
    }
}

pub(super) fn opened(bytes: u64) -> (Disk, Spool) {
    let disk = Disk::new();
    let spool = disk.spool(bytes);
    (disk, spool)
}

/// Bytes that tell which click they are, of varying length.
pub(super) fn click(number: u64) -> Vec<u8> {
    let mut click = number.to_le_bytes().to_vec();
    let longer = usize::try_from(number * 7 % 300).unwrap();
    click.extend((0..longer).map(|index| u8::try_from(index % 256).unwrap()));
    click
}

/// Reads a leftover to its end, as its publisher does, but keeps the files.
pub(super) fn everything(leftover: &Leftover) -> Vec<(u64, Vec<u8>)> {
    let limits = Limits {
        clicks: 7,
        bytes: 1_000,
    };
    let mut clicks = Vec::new();
    for chapter in leftover.chapters() {
        let mut from = chapter.first;
        while let Some(batch) = chapter.batch(from, limits) {
            clicks.extend((batch.first()..).zip(batch.clicks().map(<[u8]>::to_vec)));
            from = batch.next();
        }
        assert_eq!(from, chapter.next());
    }
    clicks
}

pub(super) fn fill(spool: &Spool, numbers: std::ops::Range<u64>) {
    for number in numbers {
        assert_eq!(spool.append(&click(number)).unwrap().number, number);
    }
}
