use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A disk that fails when it is told to, under one database.
pub struct Disk {
    library: PathBuf,
    order: PathBuf,
    file: PathBuf,
}

impl Disk {
    /// One that works, for the processes that have its variables.
    pub fn new(database: &Path) -> Self {
        let folder = database.parent().unwrap();
        let disk = Self {
            library: folder.join("faults.so"),
            order: folder.join("faults"),
            file: database.to_owned(),
        };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/databases/faults.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&disk.library, Path::new(source)])
            .arg("-ldl")
            .status()
            .expect("there is a C compiler");
        assert!(compiled.success());
        disk
    }

    /// What a process must know to work on it.
    pub fn variables(&self) -> [(&'static str, &Path); 3] {
        [
            ("LD_PRELOAD", &self.library),
            ("KURZ_TEST_FAULT", &self.order),
            ("KURZ_TEST_FILE", &self.file),
        ]
    }

    /// From now on these calls fail: words like `write:EIO`.
    pub fn fail(&self, calls: &str) {
        let next = self.order.with_extension("next");
        fs::write(&next, calls).unwrap();
        fs::rename(next, &self.order).unwrap();
    }

    /// It works again.
    pub fn mend(&self) {
        fs::remove_file(&self.order).unwrap();
    }
}
