//! Small disks that can be filled, and emptied again. Only root can mount them, and only Linux has
//! them; they are seen by nobody else and go with the harness.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// The word that says that the mounts of this process are its own.
pub const MOUNTS_ARE_OURS: &str = "--mounts-are-ours";

/// What fills a disk.
const FILLER: &str = "filler";

/// A file system of its own, in memory.
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts one of this many bytes on a new folder.
    pub fn mount(folder: PathBuf, bytes: u64) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={bytes},mode=0700"),
                "crash",
            ])
            .arg(&folder)
            .stdin(Stdio::null())
            .status()
            .context("there is no program mount")?;
        ensure!(
            mounted.success(),
            "can't mount a disk: --disks is for root on Linux"
        );
        Ok(Self { folder })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Leaves not a byte.
    pub fn fill(&self) -> anyhow::Result<()> {
        let filler = File::create(self.folder.join(FILLER))?;
        let mut length = 0;
        loop {
            let disk = statvfs(&self.folder)?;
            let free = disk.f_bavail * disk.f_frsize;
            if free == 0 {
                return Ok(());
            }
            // Whoever writes at the same moment may have taken some of it.
            match fallocate(&filler, FallocateFlags::empty(), length, free) {
                Ok(()) => length += free,
                Err(rustix::io::Errno::NOSPC) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes room again.
    pub fn free(&self) -> io::Result<()> {
        fs::remove_file(self.folder.join(FILLER))
    }
}

/// Runs this program again, with the same words, where its mounts are its own. Returns only if that
/// is not possible.
pub fn with_own_mounts() -> io::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .arg(MOUNTS_ARE_OURS)
        .exec()
}
