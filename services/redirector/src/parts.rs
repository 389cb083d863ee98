//! What `benches/` measures apart from the rest.

use std::io;
use std::path::Path;

use events::LinkRecord;

use crate::table::{Link, LinkTable, Place, Snapshots};

/// A link table without a bus.
#[derive(Debug)]
pub struct Table(LinkTable);

impl Default for Table {
    fn default() -> Self {
        Self(LinkTable::new())
    }
}

impl Table {
    /// Puts a link, as if it came over the bus.
    ///
    /// # Panics
    /// If it can't be one.
    pub fn put(&self, record: &LinkRecord) {
        self.0.put(Link::pack(record).expect("a good link"));
    }

    /// Looks a link up, as a redirect does, and copies it to `to`; whether it is there.
    pub fn find(&self, code: &str, to: &mut Vec<u8>) -> bool {
        self.0.find(code, to).is_some()
    }

    /// Writes a snapshot with which a redirector can start in `folder`.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        let place = Place {
            epoch: "benchmark".into(),
            sequence: 1,
        };
        Snapshots::new(folder).save(&self.0, &place, 0, |_| ())
    }
}
