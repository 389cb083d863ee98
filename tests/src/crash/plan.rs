//! Which fault, when: all of it drawn from the seed.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::fault::Fault;
use super::site::{REDIRECTORS, Target};
use super::{Options, Scenario};

/// Milliseconds of load before a fault.
const LEAD: Range<u64> = 200..900;
/// Milliseconds of load behind it.
const TAIL: Range<u64> = 50..400;
/// For how many milliseconds a killed process is gone.
const GONE: Range<u64> = 0..800;
/// For how many milliseconds a process is frozen: shorter and longer than what publishers and
/// visitors wait.
const FROZEN: Range<u64> = 300..4_000;
/// For how many milliseconds NATS is away: longer than the duplicate window.
const AWAY: Range<u64> = 2_000..4_500;
/// The same where the spool is to be full.
const LONG_AWAY: Range<u64> = 5_000..8_000;
/// For how many milliseconds a server is cut off: shorter and longer than the others take to choose
/// a new leader, which is four to ten seconds.
const CUT_OFF: Range<u64> = 2_000..14_000;
/// For how many milliseconds a disk is full.
const FULL: Range<u64> = 1_000..5_000;
/// By how many seconds a clock is wrong: into another hour, or another day.
const WRONG: Range<i64> = 3_600..100_000;
/// For how many milliseconds.
const WRONG_FOR: Range<u64> = 1_000..3_000;
/// For how many milliseconds a leader is gone.
const LEADERLESS: Range<u64> = 0..8_000;

/// One fault and the time around it.
#[derive(Debug, Clone)]
pub struct Step {
    /// How long to wait before.
    pub lead: Duration,
    /// What happens.
    pub fault: Fault,
    /// How long to wait when everything is back.
    pub tail: Duration,
}

/// All steps of a run. Each kind of fault comes once before one comes again.
pub fn plan(options: &Options) -> Vec<Step> {
    let mut chance = StdRng::seed_from_u64(options.seed);
    let mut steps = Vec::with_capacity(options.faults);
    while steps.len() < options.faults {
        let mut faults = match options.scenario {
            Scenario::Mixed => mixed(&mut chance, options),
            Scenario::Full if options.disks => {
                vec![Fault::FullSpools(time(&mut chance, LONG_AWAY))]
            }
            Scenario::Full => vec![Fault::Outage(time(&mut chance, LONG_AWAY))],
        };
        faults.shuffle(&mut chance);
        faults.truncate(options.faults - steps.len());
        for fault in faults {
            let (lead, tail) = (time(&mut chance, LEAD), time(&mut chance, TAIL));
            steps.push(Step { lead, fault, tail });
        }
    }
    steps
}

fn mixed(chance: &mut StdRng, options: &Options) -> Vec<Fault> {
    let nodes = options.nodes;
    let some_redirector = chance.random_range(0..REDIRECTORS);
    let some_node = Target::Nats(chance.random_range(0..nodes));
    let mut faults = Vec::new();
    for target in [
        Target::Redirector(some_redirector),
        Target::Analytics,
        Target::Shortener,
        some_node,
    ] {
        faults.push(Fault::Kill(target, time(chance, GONE)));
        faults.push(Fault::Freeze(target, time(chance, FROZEN)));
        faults.push(Fault::Restart(target));
    }
    // What loses clicks if anything does comes more often.
    for target in [
        Target::Redirector(1 - some_redirector),
        Target::Analytics,
        some_node,
    ] {
        faults.push(Fault::Kill(target, time(chance, GONE)));
    }
    faults.push(Fault::Outage(time(chance, AWAY)));
    faults.push(Fault::KillInOutage(some_redirector, time(chance, AWAY)));
    if nodes > 1 {
        faults.push(Fault::KillLeader(time(chance, LEADERLESS)));
        faults.push(Fault::KillLeader(time(chance, LEADERLESS)));
        faults.push(Fault::CutOffLeader(time(chance, CUT_OFF)));
        faults.push(Fault::CutOff(
            chance.random_range(0..nodes),
            time(chance, CUT_OFF),
        ));
    }
    if options.disks {
        faults.push(Fault::FullStatistics(time(chance, FULL)));
    }
    if options.clock {
        faults.extend(wrong_clocks(chance, some_redirector));
    }
    let mut everything = vec![Target::Analytics, Target::Shortener];
    everything.extend((0..nodes).map(Target::Nats));
    everything.extend((0..REDIRECTORS).map(Target::Redirector));
    everything.shuffle(chance);
    faults.push(Fault::KillAll(everything));
    faults
}

fn wrong_clocks(chance: &mut StdRng, some_redirector: usize) -> Vec<Fault> {
    let mut faults = Vec::new();
    for target in [Target::Redirector(some_redirector), Target::Analytics] {
        for direction in [-1, 1] {
            let seconds = direction * chance.random_range(WRONG);
            faults.push(Fault::StepClock(target, seconds, time(chance, WRONG_FOR)));
        }
        let seconds = -chance.random_range(WRONG);
        let time = time(chance, WRONG_FOR);
        faults.push(Fault::KillWithWrongClock(target, seconds, time));
    }
    faults
}

fn time(chance: &mut StdRng, millis: Range<u64>) -> Duration {
    Duration::from_millis(chance.random_range(millis))
}
