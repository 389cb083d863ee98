use std::collections::HashMap;

use rusqlite::{Connection, Rows};
use uuid::Uuid;

use crate::store::counters::{Key, kind, page, unreadable};

/// The counters of a page, and whose they are.
type LinkPage = (Uuid, Vec<(Key, u64)>);

/// The counters of one database, link by link.
pub(super) struct LinkCounters<'a> {
    rows: Rows<'a>,
    labels: Option<&'a HashMap<i64, i64>>,
    /// The link whose first page was read, and what is on it.
    ahead: Option<LinkPage>,
}

impl<'a> LinkCounters<'a> {
    /// Of rows of link and page, sorted. `labels` says which number each label has here.
    pub(super) fn new(
        rows: Rows<'a>,
        labels: Option<&'a HashMap<i64, i64>>,
    ) -> rusqlite::Result<Self> {
        let mut counters = Self {
            rows,
            labels,
            ahead: None,
        };
        counters.ahead = counters.page()?;
        Ok(counters)
    }

    /// The next link.
    pub(super) fn link_id(&self) -> Option<Uuid> {
        self.ahead.as_ref().map(|(link_id, _)| *link_id)
    }

    /// The counters of this link, which is the next one or comes before it, by key.
    pub(super) fn take(&mut self, link_id: Uuid) -> rusqlite::Result<Vec<(Key, u64)>> {
        let mut counters = Vec::new();
        while let Some((_, page)) = self.ahead.take_if(|(next, _)| *next == link_id) {
            counters.extend(page);
            self.ahead = self.page()?;
        }
        // The labels are in another order than their numbers there were.
        counters.sort_unstable();
        Ok(counters)
    }

    fn page(&mut self) -> rusqlite::Result<Option<LinkPage>> {
        let labels = self.labels;
        let Some(row) = self.rows.next()? else {
            return Ok(None);
        };
        let mut counters = Vec::new();
        page::walk(row.get_ref(1)?.as_blob()?, |key, value| {
            counters.push((labels.map_or(key, |labels| relabelled(key, labels)), value));
        })
        .map_err(unreadable)?;
        Ok(Some((row.get(0)?, counters)))
    }
}

fn relabelled(key: Key, labels: &HashMap<i64, i64>) -> Key {
    let Some(dimension @ 1..=7) = key.kind().checked_sub(kind::BREAKDOWN) else {
        return key;
    };
    let label = key.number();
    // One that this database does not know is equal to none of its own.
    let label = labels.get(&label).copied().unwrap_or(i64::MAX - label);
    Key::breakdown(dimension, label)
}

/// The number here of each label of the other database that is known here.
pub(super) fn labels_as_in_main(tx: &Connection) -> rusqlite::Result<HashMap<i64, i64>> {
    tx.prepare("SELECT y.id, x.id FROM beside.label y JOIN main.label x ON x.text = y.text")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
