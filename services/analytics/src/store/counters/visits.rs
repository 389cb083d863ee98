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

use crate::ingest::set::Counted;
use crate::ingest::turns::Turns;
use crate::rules::{Agent, Kind};
use crate::store::labels::Labels;

/// Visits that are sorted in one go, which takes less than a turn.
const PIECE: usize = 2_048;

/// Clicks that are taken down before it is asked again whether the turn is over.
const ASK_AFTER: usize = 64;

/// What is counted of one click.
#[derive(Clone, Copy)]
pub(super) struct Visit {
    /// The link; numbers are compared faster than bytes.
    link: u128,
    /// In milliseconds since 1970.
    pub(super) at_ms: i64,
    pub(super) visitor: u64,
    /// The click's place in the set.
    place: u32,
    pub(super) kind: Kind,
    /// Numbers of labels; of a visit that is not broken down, 0.
    referrer: u32,
    country: u32,
    language: u32,
    /// The place of browser, system and device among the agents.
    agent: u32,
}

/// The clicks of a set.
pub(super) struct Visits<'a> {
    clicks: Vec<&'a Counted>,
    /// Numbers of browser, system and device.
    agents: Vec<[u32; 3]>,
    kinds: [u32; Kind::ALL.len()],
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
        let mut visits = Vec::with_capacity(clicks.len());
        for (place, counted) in (0..).zip(&clicks) {
            if visits.len() % ASK_AFTER == 0 {
                turns.rest();
            }
            visits.push(numbers.visit(place, counted)?);
        }
        for piece in visits.chunks_mut(PIECE) {
            turns.rest();
            piece.sort_unstable_by_key(|visit| visit.link);
        }
        Ok(Self {
            clicks,
            agents: numbers.agents,
            kinds: numbers.kinds,
            all: visits,
        })
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

    /// The click that was taken down.
    pub(super) fn click(&self, visit: &Visit) -> &'a events::Click {
        &self.clicks[visit.place as usize].click
    }

    /// The number of the label of its kind.
    pub(super) fn kind(&self, visit: &Visit) -> u32 {
        self.kinds[visit.kind as usize]
    }

    /// The numbers of the labels of the dimensions from 1 to 6.
    pub(super) fn said(&self, visit: &Visit) -> [u32; 6] {
        let [browser, system, device] = self.agents[visit.agent as usize];
        [
            visit.referrer,
            visit.country,
            browser,
            system,
            device,
            visit.language,
        ]
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
    /// By their place in memory, which does not change while the clicks are there.
    places: HashMap<*const Agent, u32>,
    agents: Vec<[u32; 3]>,
    kinds: [u32; Kind::ALL.len()],
}

impl<'a> Numbers<'a> {
    fn new(tx: &'a Connection) -> Self {
        Self {
            labels: Labels::new(tx),
            places: HashMap::new(),
            agents: Vec::new(),
            kinds: [0; Kind::ALL.len()],
        }
    }

    fn visit(&mut self, place: u32, counted: &Counted) -> rusqlite::Result<Visit> {
        let Counted { click, kind, agent } = counted;
        let of_kind = &mut self.kinds[*kind as usize];
        if *of_kind == 0 {
            *of_kind = self.labels.id(kind.as_str())?;
        }
        let mut visit = Visit {
            link: click.link_id.as_u128(),
            at_ms: click.at_ms,
            visitor: click.visitor,
            place,
            kind: *kind,
            referrer: 0,
            country: 0,
            language: 0,
            agent: 0,
        };
        // Only people are broken down by what their browser says.
        if *kind == Kind::Human {
            visit.referrer = self.labels.id(&click.referrer)?;
            visit.country = self
                .labels
                .id(click.country.as_deref().unwrap_or_default())?;
            visit.agent = self.agent(agent)?;
            visit.language = self.labels.id(&click.language)?;
        }
        Ok(visit)
    }

    fn agent(&mut self, agent: &Arc<Agent>) -> rusqlite::Result<u32> {
        if let Some(place) = self.places.get(&Arc::as_ptr(agent)) {
            return Ok(*place);
        }
        let numbers = [
            self.labels.id(&agent.browser)?,
            self.labels.id(&agent.os)?,
            self.labels.id(agent.device)?,
        ];
        // There are no more of them than clicks.
        let place = u32::try_from(self.agents.len()).unwrap_or(u32::MAX);
        self.agents.push(numbers);
        self.places.insert(Arc::as_ptr(agent), place);
        Ok(place)
    }
}
