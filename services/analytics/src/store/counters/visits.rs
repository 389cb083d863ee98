//! The clicks of a set as numbers, by link.
//!
//! In the order of their links, clicks come in an order that has nothing to do with where their texts
//! lie in memory, and much of what a click costs would be waiting for those. So what is counted of
//! each is taken down first, in the order in which they came, and only that is sorted: piece by
//! piece, since nobody can rest in the middle of sorting hundreds of thousands.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use hashbrown::HashMap;
use rusqlite::Connection;
use uuid::Uuid;

use super::key::Sort;
use crate::ingest::set::Counted;
use crate::ingest::turns::Turns;
use crate::rules::{Agent, Kind};
use crate::store::labels::Labels;

/// Visits that are sorted in one go, which takes less than a turn.
const PIECE: usize = 2_048;

/// Clicks that are taken down before it is asked again whether the turn is over.
const ASK_AFTER: usize = 64;

/// What is counted of one click.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visit {
    /// The link; numbers are compared faster than bytes.
    pub(super) link: u128,
    /// In milliseconds since 1970.
    pub(super) at_ms: i64,
    pub(super) visitor: u64,
    /// Where the owner and the code stand that the click was of.
    pub(super) source: u32,
    /// Numbers of the labels of the dimensions 1 to 7; only people have any but the last one, the
    /// others' are 0.
    pub(super) labels: [u32; 7],
    pub(super) sort: Sort,
}

impl Visit {
    pub(super) fn link_id(&self) -> Uuid {
        Uuid::from_u128(self.link)
    }
}

/// The clicks of a set.
pub(super) struct Visits<'a> {
    clicks: Vec<&'a Counted>,
    /// In pieces, each of them sorted by link.
    all: Vec<Visit>,
}

impl<'a> Visits<'a> {
    /// Takes clicks down. Texts without a number get one.
    pub(super) fn take_down(
        tx: &Connection,
        clicks: impl IntoIterator<Item = &'a Counted>,
        turns: &mut Turns<'_>,
    ) -> rusqlite::Result<Self> {
        let clicks: Vec<_> = clicks.into_iter().collect();
        let mut numbers = Numbers::new(tx);
        let mut all = Vec::with_capacity(clicks.len());
        for (source, counted) in (0..).zip(&clicks) {
            if all.len() % ASK_AFTER == 0 {
                turns.rest();
            }
            all.push(numbers.visit(source, counted)?);
        }
        for piece in all.chunks_mut(PIECE) {
            turns.rest();
            piece.sort_unstable_by_key(|visit| visit.link);
        }
        Ok(Self { clicks, all })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The links, from the least on.
    pub(super) fn by_link(&self) -> ByLink<'_> {
        let pieces: Vec<_> = self.all.chunks(PIECE).collect();
        let heads = pieces.iter().enumerate();
        let heads = heads.map(|(at, piece)| Reverse((piece[0].link, at)));
        ByLink {
            heads: heads.collect(),
            pieces,
        }
    }

    /// Whose link it was, and its code.
    pub(super) fn source(&self, visit: &Visit) -> (Uuid, &'a str) {
        let click = &self.clicks[visit.source as usize].click;
        (click.owner_id, &click.code)
    }
}

/// Walks over the links of a set.
pub(super) struct ByLink<'v> {
    /// What is left of each piece.
    pieces: Vec<&'v [Visit]>,
    /// The next link of each piece.
    heads: BinaryHeap<Reverse<(u128, usize)>>,
}

impl ByLink<'_> {
    /// Gives `visits` those of the next link; whether there was one.
    pub(super) fn next(&mut self, visits: &mut Vec<Visit>) -> bool {
        visits.clear();
        while let Some(mut head) = self.heads.peek_mut() {
            let Reverse((link, at)) = &mut *head;
            if visits.first().is_some_and(|first| first.link != *link) {
                break;
            }
            let piece = &mut self.pieces[*at];
            let of_link = piece.partition_point(|visit| visit.link == *link);
            let (taken, rest) = piece.split_at(of_link);
            visits.extend_from_slice(taken);
            *piece = rest;
            match rest.first() {
                Some(next) => *link = next.link,
                None => drop(PeekMut::pop(head)),
            }
        }
        !visits.is_empty()
    }
}

/// The numbers of texts, as far as they are known.
struct Numbers<'a> {
    labels: Labels<'a>,
    /// Of browser, system and device, by the agent's place in memory, which does not change while
    /// the clicks are there.
    agents: HashMap<*const Agent, [u32; 3]>,
    kinds: [u32; Kind::ALL.len()],
}

impl<'a> Numbers<'a> {
    fn new(tx: &'a Connection) -> Self {
        Self {
            labels: Labels::new(tx),
            agents: HashMap::new(),
            kinds: [0; Kind::ALL.len()],
        }
    }

    fn visit(&mut self, source: u32, counted: &Counted) -> rusqlite::Result<Visit> {
        let Counted { click, kind, agent } = counted;
        let sort = match kind {
            Kind::Human => Sort::Human,
            Kind::Bot => Sort::Bot,
            Kind::Preview | Kind::Prefetch | Kind::Head => Sort::Other,
        };
        let of_kind = &mut self.kinds[*kind as usize];
        if *of_kind == 0 {
            *of_kind = self.labels.id(kind.as_str())?;
        }
        let mut labels = [0, 0, 0, 0, 0, 0, *of_kind];
        // Only people are broken down by what their browser says; the kind of all.
        if sort == Sort::Human {
            labels[0] = self.labels.id(&click.referrer)?;
            labels[1] = self
                .labels
                .id(click.country.as_deref().unwrap_or_default())?;
            labels[2..5].copy_from_slice(&self.agent(agent)?);
            labels[5] = self.labels.id(&click.language)?;
        }
        Ok(Visit {
            link: click.link_id.as_u128(),
            at_ms: click.at_ms,
            visitor: click.visitor,
            source,
            labels,
            sort,
        })
    }

    fn agent(&mut self, agent: &Arc<Agent>) -> rusqlite::Result<[u32; 3]> {
        if let Some(numbers) = self.agents.get(&Arc::as_ptr(agent)) {
            return Ok(*numbers);
        }
        let numbers = [
            self.labels.id(&agent.browser)?,
            self.labels.id(&agent.os)?,
            self.labels.id(agent.device)?,
        ];
        self.agents.insert(Arc::as_ptr(agent), numbers);
        Ok(numbers)
    }
}
