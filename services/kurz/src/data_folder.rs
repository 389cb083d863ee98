use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::private_file;

/// The folder in which kurz keeps everything, held by this process alone.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if it is not there, for its owner only, and locks it. An error if another
    /// kurz has it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("can't make the data folder {shown} (KURZ_DATA)"))?;
        let path = fs::canonicalize(path)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .with_context(|| format!("can't write in the data folder {shown} (KURZ_DATA)"))?;
        ensure!(
            lock.try_lock().is_ok(),
            "another kurz uses the data folder {shown}: stop it, or set KURZ_DATA"
        );
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The secret in the file `name`; made by `generate` at the first start, mode 0600.
    pub fn secret(
        &self,
        name: &str,
        generate: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<PathBuf> {
        let path = self.join(name);
        private_file::keep_or_make(&path, generate)?;
        Ok(path)
    }
}
