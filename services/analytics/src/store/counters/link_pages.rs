use rusqlite::types::Type;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::key::{Key, kind};
use super::page::{self, Page, Unreadable};

/// The most bytes of a page: SQLite keeps up to 1,002 bytes of a row, key included, where the row
/// is (`WITHOUT ROWID`, 4 KiB a page of the file), and puts what is more on a page of its own.
const MAX_BYTES: usize = 900;

/// The pages of a link that hold the keys from one on and below another one.
pub(super) const OF_RANGE: &str = "SELECT first, page FROM counter
    WHERE link_id = ?1 AND first < ?3 AND first >= (
        SELECT first FROM counter WHERE link_id = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1)
    ORDER BY first";

/// Reads and writes pages within a transaction.
pub(super) struct Pages<'a> {
    tx: &'a Connection,
    find: CachedStatement<'a>,
    find_behind: CachedStatement<'a>,
    insert: CachedStatement<'a>,
    update: CachedStatement<'a>,
    bytes: Vec<u8>,
    /// Pages of the link at hand by their first keys, ascending.
    read: Vec<(Key, Loaded)>,
    /// Pages that were let go, whose memory the next ones use.
    spare: Vec<Page>,
}

/// The pages of one link that a transaction changes: each is read when it is first needed, and
/// written at the end, or when it is let go.
pub(super) struct LinkPages<'a, 'p> {
    pages: &'p mut Pages<'a>,
    link_id: Uuid,
    /// Nothing of the link is stored yet.
    is_new: bool,
    /// Whether its pages are written.
    is_written: bool,
}

struct Loaded {
    page: Page,
    is_stored: bool,
    /// The first key that belongs to the next page; none if there is no next one.
    end: Option<Key>,
    is_changed: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn new(tx: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            tx,
            find: tx.prepare_cached(
                "SELECT first, page FROM counter WHERE link_id = ?1 AND first <= ?2
                 ORDER BY first DESC LIMIT 1",
            )?,
            find_behind: tx.prepare_cached(
                "SELECT first FROM counter WHERE link_id = ?1 AND first > ?2
                 ORDER BY first LIMIT 1",
            )?,
            insert: tx
                .prepare_cached("INSERT INTO counter (link_id, first, page) VALUES (?1, ?2, ?3)")?,
            update: tx
                .prepare_cached("UPDATE counter SET page = ?3 WHERE link_id = ?1 AND first = ?2")?,
            bytes: Vec::with_capacity(MAX_BYTES),
            read: Vec::new(),
            spare: Vec::new(),
        })
    }

    pub(super) fn of_link(&mut self, link_id: Uuid) -> LinkPages<'a, '_> {
        self.read.clear();
        LinkPages {
            pages: self,
            link_id,
            is_new: false,
            is_written: true,
        }
    }

    /// Pages on which one can add to see what comes out: they are not written.
    pub(super) fn of_link_unwritten(&mut self, link_id: Uuid) -> LinkPages<'a, '_> {
        let mut pages = self.of_link(link_id);
        pages.is_written = false;
        pages
    }

    /// Writes one page, in the place of the one that is stored, or two with half of the counters each if
    /// they don't fit, and so on.
    fn write(
        &mut self,
        link_id: Uuid,
        first: Key,
        entries: &[(Key, u64)],
        has_more: bool,
        is_stored: bool,
    ) -> rusqlite::Result<()> {
        self.bytes.clear();
        page::encode(entries, has_more, &mut self.bytes);
        if self.bytes.len() <= MAX_BYTES {
            let row = params![link_id, first.to_bytes(), self.bytes];
            let statement = if is_stored {
                &mut self.update
            } else {
                &mut self.insert
            };
            statement.execute(row)?;
            return Ok(());
        }
        let (left, right) = entries.split_at(entries.len() / 2);
        self.write(link_id, first, left, true, is_stored)?;
        self.write(link_id, right[0].0, right, has_more, false)
    }
}

impl LinkPages<'_, '_> {
    /// Adds to a counter; whether it is new.
    pub(super) fn add(&mut self, key: Key, more: u64) -> rusqlite::Result<bool> {
        let Loaded {
            page, is_changed, ..
        } = self.page_of(key)?;
        let (value, is_new) = page.value(key, 0);
        // A visitor who is there already is nothing new.
        if is_new || key.kind() != kind::VISITOR {
            *value = value.saturating_add(more);
            *is_changed = true;
        }
        Ok(is_new)
    }

    /// Changes a counter, which begins with `initial`.
    pub(super) fn change(
        &mut self,
        key: Key,
        initial: u64,
        change: impl FnOnce(u64) -> u64,
    ) -> rusqlite::Result<()> {
        let Loaded {
            page, is_changed, ..
        } = self.page_of(key)?;
        let (value, _) = page.value(key, initial);
        *value = change(*value);
        *is_changed = true;
        Ok(())
    }

    /// Writes the pages that lie before `key`, and keeps them no longer: whoever adds in the order of
    /// the keys needs few at a time.
    pub(super) fn let_go_before(&mut self, key: Key) -> rusqlite::Result<()> {
        if !self.is_written {
            return Ok(());
        }
        let ends = |page: &(Key, Loaded)| page.1.end.is_some_and(|end| end <= key);
        let before = self.pages.read.iter().take_while(|page| ends(page)).count();
        self.let_go(before)
    }

    /// Writes what was changed; whether nothing of the link was stored before.
    pub(super) fn save(mut self) -> rusqlite::Result<bool> {
        self.let_go(self.pages.read.len())?;
        Ok(self.is_new)
    }

    /// Calls `visit` for each counter from `from` on and below `to`, in order, with what was added.
    pub(super) fn each(
        &self,
        from: Key,
        to: Key,
        mut visit: impl FnMut(Key, u64),
    ) -> rusqlite::Result<()> {
        let mut visit_all = |page: &Page| {
            let of_range = page
                .entries
                .iter()
                .filter(|(key, _)| from <= *key && *key < to);
            of_range.for_each(|&(key, value)| visit(key, value));
        };
        if self.is_new {
            self.pages
                .read
                .iter()
                .for_each(|(_, added)| visit_all(&added.page));
            return Ok(());
        }
        let mut stored = Page::default();
        let mut rows = self.pages.tx.prepare_cached(OF_RANGE)?;
        let mut rows = rows.query(params![self.link_id, from.to_bytes(), to.to_bytes()])?;
        while let Some(row) = rows.next()? {
            let first = first_of(row.get_ref(0)?.as_blob()?)?;
            let added = self.pages.read.binary_search_by_key(&first, |page| page.0);
            if let Ok(at) = added {
                visit_all(&self.pages.read[at].1.page);
            } else {
                stored
                    .read(row.get_ref(1)?.as_blob()?)
                    .map_err(unreadable)?;
                visit_all(&stored);
            }
        }
        Ok(())
    }

    /// Writes the first so many pages that were read.
    fn let_go(&mut self, pages: usize) -> rusqlite::Result<()> {
        let mut read = std::mem::take(&mut self.pages.read);
        for (first, loaded) in read.drain(..pages) {
            let page = loaded.page;
            if loaded.is_changed {
                let (entries, has_more) = (&page.entries, page.has_more);
                let is_stored = loaded.is_stored;
                self.pages
                    .write(self.link_id, first, entries, has_more, is_stored)?;
            }
            self.pages.spare.push(page);
        }
        self.pages.read = read;
        Ok(())
    }

    /// The page to which a key belongs.
    fn page_of(&mut self, key: Key) -> rusqlite::Result<&mut Loaded> {
        let behind = self.pages.read.partition_point(|page| page.0 <= key);
        let is_there = |at: &usize| {
            let (_, loaded) = &self.pages.read[*at];
            loaded.end.is_none_or(|end| key < end)
        };
        let at = if let Some(at) = behind.checked_sub(1).filter(is_there) {
            at
        } else {
            let page = self.load(key)?;
            // No other one lies between it and the key.
            self.pages.read.insert(behind, page);
            behind
        };
        Ok(&mut self.pages.read[at].1)
    }

    /// Reads the page to which a key belongs.
    fn load(&mut self, key: Key) -> rusqlite::Result<(Key, Loaded)> {
        let mut page = self.pages.spare.pop().unwrap_or_default();
        let found = self
            .pages
            .find
            .query_row(params![self.link_id, key.to_bytes()], |row| {
                page.read(row.get_ref(1)?.as_blob()?).map_err(unreadable)?;
                first_of(row.get_ref(0)?.as_blob()?)
            })
            .optional()?;
        let is_stored = found.is_some();
        let first = found.unwrap_or_else(|| {
            self.is_new = true;
            page.clear();
            Key::FIRST
        });
        let end = if page.has_more {
            self.first_behind(first)?
        } else {
            None
        };
        let loaded = Loaded {
            page,
            is_stored,
            end,
            is_changed: false,
        };
        Ok((first, loaded))
    }

    fn first_behind(&mut self, first: Key) -> rusqlite::Result<Option<Key>> {
        self.pages
            .find_behind
            .query_row(params![self.link_id, first.to_bytes()], |row| {
                first_of(row.get_ref(0)?.as_blob()?)
            })
            .optional()
    }
}

fn first_of(bytes: &[u8]) -> rusqlite::Result<Key> {
    Key::from_bytes(bytes).ok_or_else(|| unreadable(Unreadable))
}

pub fn unreadable(error: Unreadable) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(error))
}
