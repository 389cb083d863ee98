//! Clocks that are set wrong while a process runs. libfaketime does it (Debian: faketime), so that
//! everything in the process sees the same time of day. How long something takes is measured by
//! another clock, which goes on as it is, as on a machine whose clock is set.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Where libfaketime puts what its processes share, and what it calls it. It can't be told not to.
const SHARED: [&str; 2] = ["/dev/shm/faketime_shm_", "/dev/shm/sem.faketime_sem_"];

/// The clock of one process.
pub struct Clock {
    file: PathBuf,
}

impl Clock {
    /// One that is right. It is set by what stands in `file`.
    pub fn new(file: PathBuf) -> io::Result<Self> {
        let clock = Self { file };
        clock.set(0)?;
        Ok(clock)
    }

    /// What a process must know to go by it.
    pub fn variables(&self, library: &str) -> Vec<(&'static str, String)> {
        let file = self.file.display().to_string();
        let on = || "1".to_owned();
        vec![
            ("LD_PRELOAD", library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            // The file is read each time, so a step is seen at once.
            ("FAKETIME_NO_CACHE", on()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", on()),
            ("NO_FAKE_STAT", on()),
        ]
    }

    /// From now on it is wrong by this many seconds.
    pub fn set(&self, seconds: i64) -> io::Result<()> {
        // Never read half written.
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{seconds:+}\n"))?;
        fs::rename(next, &self.file)
    }
}

/// The library, as the program `faketime` would load it.
pub fn library() -> anyhow::Result<String> {
    let asked = Command::new("faketime")
        .args(["-m", "-f", "+0s", "printenv", "LD_PRELOAD"])
        .output()
        .context("--clock needs the program faketime (Debian: faketime)")?;
    ensure!(asked.status.success(), "faketime does not work: {asked:?}");
    Ok(String::from_utf8(asked.stdout)?.trim().to_owned())
}

/// Removes the names of what libfaketime shares with processes that we do not start, so that a kill
/// leaves nothing behind. What they name lives as long as this process.
pub fn leave_nothing_behind() {
    for name in SHARED {
        // There is nothing unless the clock is ours to set.
        let _ = fs::remove_file(Path::new(&format!("{name}{}", std::process::id())));
    }
}
