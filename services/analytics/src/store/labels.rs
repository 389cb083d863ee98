//! Hosts, countries and names, each stored once.

use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension as _};

/// The numbers of texts, each asked for once in a transaction.
pub struct Labels<'a> {
    tx: &'a Connection,
    known: HashMap<Box<str>, u32>,
}

impl<'a> Labels<'a> {
    /// None is known yet.
    pub fn new(tx: &'a Connection) -> Self {
        Self {
            tx,
            known: HashMap::new(),
        }
    }

    /// The number of a text; an unknown one gets one. They begin with 1; there is room for four
    /// thousand million.
    pub fn id(&mut self, text: &str) -> rusqlite::Result<u32> {
        if let Some(id) = self.known.get(text) {
            return Ok(*id);
        }
        let found = self
            .tx
            .prepare_cached("SELECT id FROM label WHERE text = ?")?
            .query_row([text], |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => self
                .tx
                .prepare_cached("INSERT INTO label (text) VALUES (?) RETURNING id")?
                .query_row([text], |row| row.get(0))?,
        };
        self.known.insert(text.into(), id);
        Ok(id)
    }
}

/// The text with this number; none if there is none.
pub fn text(connection: &Connection, id: i64) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT text FROM label WHERE id = ?")?
        .query_row([id], |row| row.get(0))
        .optional()
}
