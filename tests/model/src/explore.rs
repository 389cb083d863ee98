//! Visits every state, breadth first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{self, Write as _};

use crate::bounds::{Bounds, Rules};
use crate::fingerprint::{Mixed, fingerprint};
use crate::properties::Violation;
use crate::world::{Step, World};

/// What an exploration saw.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// States in which everything is drained.
    pub drained: usize,
    /// The first violation, if there is one.
    pub found: Option<Found>,
}

/// A violation and a shortest way to it.
#[derive(Debug, Clone)]
pub struct Found {
    /// What does not hold.
    pub violation: Violation,
    /// How many steps lead there.
    pub length: usize,
    /// The steps, one a line, and the state behind them.
    pub schedule: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states, {} steps, depth {}, {} drained",
            self.states, self.steps, self.depth, self.drained
        )
    }
}

/// Visits every state within the bounds, up to the first violation of those in `wanted` (all, if
/// it is empty).
pub fn explore(bounds: &Bounds, rules: Rules, wanted: &[Violation]) -> Report {
    let mut explorer = Explorer {
        bounds,
        rules,
        wanted,
        seen: HashMap::default(),
        origins: Vec::new(),
        onward: Vec::new(),
        report: Report::default(),
    };
    let violation = explorer.visit().or_else(|| explorer.stuck());
    explorer.report.found = violation.map(|(violation, at)| explorer.found(violation, at));
    explorer.report.states = explorer.origins.len();
    explorer.report
}

/// No state: the end of a way.
const NONE: u32 = u32::MAX;

struct Explorer<'a> {
    bounds: &'a Bounds,
    rules: Rules,
    wanted: &'a [Violation],
    seen: HashMap<u128, u32, Mixed>,
    /// For each state the one before it, and which of its steps led here.
    origins: Vec<(u32, u8)>,
    /// For each state the next one of a run without faults and without new clicks; itself, if it
    /// is drained.
    onward: Vec<u32>,
    report: Report,
}

impl Explorer<'_> {
    fn visit(&mut self) -> Option<(Violation, u32)> {
        let first = World::new(self.bounds);
        let mut layer = vec![(self.add(&first, NONE, 0).0, first)];
        let mut steps = Vec::new();
        while !layer.is_empty() {
            let mut next_layer = Vec::new();
            for (id, world) in &layer {
                world.steps(self.bounds, self.rules, &mut steps);
                self.report.steps += steps.len();
                let mut onward = (u8::MAX, NONE);
                if world.is_drained() {
                    self.report.drained += 1;
                    onward = (0, *id);
                }
                for (index, step) in steps.iter().enumerate() {
                    let next = world.after(*step, self.bounds, self.rules);
                    let (next_id, is_new) = self.add(&next, *id, index);
                    if let Some(rank) = rank(*step).filter(|rank| *rank < onward.0) {
                        onward = (rank, next_id);
                    }
                    if !is_new {
                        continue;
                    }
                    if let Some(violation) = next.violation(self.wanted) {
                        return Some((violation, next_id));
                    }
                    next_layer.push((next_id, next));
                }
                self.onward[*id as usize] = onward.1;
            }
            self.report.depth += usize::from(!next_layer.is_empty());
            layer = next_layer;
        }
        None
    }

    /// The state's number, and whether it was not there before.
    fn add(&mut self, world: &World, before: u32, index: usize) -> (u32, bool) {
        let id = u32::try_from(self.origins.len()).expect("few enough states");
        match self.seen.entry(fingerprint(world)) {
            Entry::Occupied(entry) => (*entry.get(), false),
            Entry::Vacant(entry) => {
                entry.insert(id);
                let index = u8::try_from(index).expect("a state has few steps");
                self.origins.push((before, index));
                self.onward.push(NONE);
                (id, true)
            }
        }
    }

    /// From every state, with no more faults and no more clicks, all is drained in the end. The
    /// first state from which it is not.
    fn stuck(&self) -> Option<(Violation, u32)> {
        const UNKNOWN: u8 = 0;
        const ON_THE_WAY: u8 = 1;
        const DRAINS: u8 = 2;
        if !self.wanted.is_empty() && !self.wanted.contains(&Violation::Stuck) {
            return None;
        }
        let mut marks = vec![UNKNOWN; self.onward.len()];
        for first in 0..self.onward.len() {
            let mut way = Vec::new();
            let mut at = first;
            while marks[at] == UNKNOWN {
                marks[at] = ON_THE_WAY;
                way.push(at);
                match self.onward[at] {
                    NONE => break,
                    next if next as usize == at => marks[at] = DRAINS,
                    next => at = next as usize,
                }
            }
            if marks[at] != DRAINS {
                return Some((Violation::Stuck, u32::try_from(first).unwrap_or(NONE)));
            }
            for at in way {
                marks[at] = DRAINS;
            }
        }
        None
    }

    fn found(&self, violation: Violation, at: u32) -> Found {
        let mut path = Vec::new();
        let mut origin = self.origins[at as usize];
        while origin.0 != NONE {
            path.push(origin.1);
            origin = self.origins[origin.0 as usize];
        }
        let mut world = World::new(self.bounds);
        let mut steps = Vec::new();
        let mut schedule = String::new();
        for index in path.iter().rev() {
            world.steps(self.bounds, self.rules, &mut steps);
            let step = steps[usize::from(*index)];
            world = world.after(step, self.bounds, self.rules);
            let _ = writeln!(schedule, "  {step:?}");
        }
        let _ = writeln!(schedule, "{world:#?}");
        Found {
            violation,
            length: path.len(),
            schedule,
        }
    }
}

/// The order in which a run without faults takes its steps; none for what is a fault, or a new
/// click.
fn rank(step: Step) -> Option<u8> {
    Some(match step {
        Step::Commit => 0,
        Step::Fetch { .. } => 1,
        Step::Look | Step::Follow | Step::Confirm => 2,
        Step::EndSession => 3,
        // What a full stream waits for.
        Step::Sweep { .. } => 4,
        Step::Store { .. } => 5,
        Step::FindPlace { .. } => 6,
        Step::DeleteLeftover { .. } => 7,
        Step::Send { .. } => 8,
        _ => return None,
    })
}
