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
use super::sources::Sources;
use super::unpack::Totals;
use crate::ingest::set::Counted;
use crate::ingest::turns::Turns;
use crate::rules::{Agent, Kind};
use crate::store::account_totals::Sums;
use crate::store::labels::Labels;

/// Visits that are sorted in one go, which takes less than a turn.
const PIECE: usize = 2_048;

/// What is counted of one click: a line of the processor's cache, of which hundreds of thousands are
/// read in another order than they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct Visit {
    /// The link; numbers are compared faster than bytes.
    pub(super) link: u128,
    /// In milliseconds since 1970.
    pub(super) at_ms: i64,
    pub(super) visitor: u64,
    /// Numbers of the labels of the dimensions 1 to 7; only people have any but the last one, the
    /// others' are 0.
    pub(super) labels: [u32; 7],
    /// Where the owner and the code stand that the click was of; below, in two bits, its sort.
    source_and_sort: u32,
}

impl Visit {
    /// There are less than a thousand million sources.
    pub(super) fn new(
        link: u128,
        at_ms: i64,
        visitor: u64,
        labels: [u32; 7],
        source: u32,
        sort: Sort,
    ) -> Self {
        Self {
            link,
            at_ms,
            visitor,
            labels,
            source_and_sort: source << 2 | sort as u32,
        }
    }

    pub(super) fn link_id(&self) -> Uuid {
        Uuid::from_u128(self.link)
    }

    pub(super) fn source(&self) -> usize {
        (self.source_and_sort >> 2) as usize
    }

    pub(super) fn sort(&self) -> Sort {
        match self.source_and_sort & 3 {
            0 => Sort::Human,
            1 => Sort::Bot,
            _ => Sort::Other,
        }
    }
}

/// The clicks of a set.
pub struct Visits<'a> {
    sources: Sources,
    /// What they add to the sums of accounts, but for their visitors.
    accounts: Sums,
    numbers: Numbers<'a>,
    /// One for each click; once it is sorted, in pieces, each of them by link.
    all: Vec<Visit>,
}

impl<'a> Visits<'a> {
    /// None yet, and room for so many.
    pub fn with_room(tx: &'a Connection, clicks: usize) -> Self {
        Self {
            sources: Sources::with_room(clicks),
            accounts: Sums::default(),
            numbers: Numbers::new(tx),
            all: Vec::with_capacity(clicks),
        }
    }

    /// Takes a click down. Texts without a number get one.
    pub fn take_down(&mut self, counted: &Counted) -> rusqlite::Result<()> {
        let click = &counted.click;
        let source = self.sources.add(click.owner_id, &click.code);
        let source =
            source.expect("a set has less clicks, and memory for them, than fit into 32 bits");
        let visit = self.numbers.visit(source, counted)?;
        self.accounts.add(click.owner_id, &Totals::of(&[visit]));
        self.all.push(visit);
        Ok(())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Sorts them piece by piece.
    pub(super) fn sort(&mut self, turns: &mut Turns<'_>) {
        for piece in self.all.chunks_mut(PIECE) {
            turns.rest();
            piece.sort_unstable_by_key(|visit| visit.link);
        }
    }

    /// The links, from the least on, of what was sorted.
    pub(super) fn by_link(&self) -> ByLink<'_> {
        let pieces: Vec<_> = self.all.chunks(PIECE).collect();
        let heads = pieces.iter().enumerate();
        let heads = heads.map(|(at, piece)| Reverse((piece[0].link, at)));
        ByLink {
            heads: heads.collect(),
            pieces,
        }
    }

    /// Whose links they are of, and their codes.
    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// What they add to the sums of accounts, but for their visitors. To be asked for once.
    pub(super) fn take_accounts(&mut self) -> Sums {
        std::mem::take(&mut self.accounts)
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
            // Most have one: looking for its end from afar would be waiting for memory.
            let of_link = piece.iter().take_while(|visit| visit.link == *link);
            let of_link = of_link.count();
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
        let link = click.link_id.as_u128();
        let visit = Visit::new(link, click.at_ms, click.visitor, labels, source, sort);
        Ok(visit)
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
