use std::iter::Peekable;
use std::vec;

use rusqlite::{CachedStatement, Connection, params};

use super::row::encode;
use super::{Limits, Range, Ranges, Waited, id};
use crate::ingest::turns::Turns;
use crate::store::counters::sources::Sources;
use crate::store::counters::visits::Visit;

/// Puts down the clicks of a set, in the order of their links.
pub(in crate::store::counters) struct Filling<'a> {
    tx: &'a Connection,
    limits: Limits,
    insert: CachedStatement<'a>,
    passed: Vec<Range>,
    /// The one to which belongs what is held.
    range: Range,
    ahead: Peekable<vec::IntoIter<Range>>,
    next_number: i64,
    held: Vec<Visit>,
    bytes: Vec<u8>,
}

impl<'a> Filling<'a> {
    pub(in crate::store::counters) fn begin(
        ranges: Ranges<'a>,
        limits: Limits,
    ) -> rusqlite::Result<Self> {
        let Ranges { tx, all } = ranges;
        let last = all.iter().map(|range| range.number).max();
        let mut ahead = all.into_iter().peekable();
        Ok(Self {
            tx,
            limits,
            insert: tx.prepare_cached("INSERT INTO buffer (id, visits) VALUES (?1, ?2)")?,
            passed: Vec::new(),
            range: ahead.next().unwrap_or_else(|| Range::new(0, 0)),
            ahead,
            next_number: last.map_or(1, |last| last + 1),
            held: Vec::new(),
            bytes: Vec::new(),
        })
    }

    /// Whether what is held has to be put down before visits of this link can be held.
    pub(in crate::store::counters) fn is_complete(&mut self, link: u128) -> bool {
        let next = self.ahead.peek();
        !self.held.is_empty() && next.is_some_and(|next| next.first <= link)
    }

    /// Holds the visits of a link behind the ones before.
    pub(in crate::store::counters) fn hold(&mut self, visits: &[Visit]) {
        if self.held.is_empty() {
            let link = visits[0].link;
            while let Some(next) = self.ahead.next_if(|next| next.first <= link) {
                self.passed.push(std::mem::replace(&mut self.range, next));
            }
        }
        self.held.extend_from_slice(visits);
    }

    /// Takes out what waits in the range of what is held, if that finds no room beside it.
    pub(in crate::store::counters) fn make_room(&mut self) -> rusqlite::Result<Waited> {
        let held = self.held.len();
        let Limits {
            divided, in_range, ..
        } = self.limits;
        let is_too_much = held > divided || self.range.visits + held > in_range;
        if self.range.visits > 0 && is_too_much {
            return self.range.take(self.tx);
        }
        Ok(Waited::default())
    }

    /// Puts down what is held.
    pub(in crate::store::counters) fn put_down(
        &mut self,
        sources: &Sources,
        turns: &mut Turns<'_>,
    ) -> rusqlite::Result<()> {
        let mut held = std::mem::take(&mut self.held);
        let Limits { row, divided, .. } = self.limits;
        let is_divided = held.len() > divided;
        let mut rest = &held[..];
        while !rest.is_empty() {
            let piece = if is_divided { part(rest, row) } else { rest };
            rest = &rest[piece.len()..];
            for visits in piece.chunks(row) {
                turns.rest();
                self.bytes.clear();
                encode(visits, sources, &mut self.bytes);
                let id = id(self.range.number, self.range.rows);
                self.insert.execute(params![id, self.bytes])?;
                self.range.rows += 1;
            }
            self.range.visits += piece.len();
            self.range.is_changed = true;
            if let Some(next) = rest.first() {
                let next = Range::new(next.link, self.next_number);
                self.next_number += 1;
                self.passed.push(std::mem::replace(&mut self.range, next));
            }
        }
        held.clear();
        self.held = held;
        Ok(())
    }

    /// The ranges as they are now.
    pub(in crate::store::counters) fn end(self) -> Ranges<'a> {
        let mut all = self.passed;
        all.push(self.range);
        all.extend(self.ahead);
        Ranges { tx: self.tx, all }
    }
}

/// The first visits, as many as a row holds, and all of the last link among them.
fn part(visits: &[Visit], row: usize) -> &[Visit] {
    let Some(last) = visits.get(row - 1) else {
        return visits;
    };
    let more = visits[row..].partition_point(|visit| visit.link == last.link);
    &visits[..row + more]
}
