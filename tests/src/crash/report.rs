mod blame;
mod table;
mod verdict;

use std::collections::BTreeMap;
use std::time::Duration;

use super::drain::Counted;
use super::ending::Ending;
use super::load::{Outcome, Request, referrer};
use super::tally::{Tally, strangers};
use super::{Level, Options};
use blame::{Period, unexplained};
use verdict::judge;

/// The smallest click that the harness causes, in bytes of a spool: less than its browser's name
/// and its ids take.
const SMALLEST_CLICK: u64 = 100;

/// A fault that happened.
#[derive(Debug, Clone)]
pub struct Happened {
    /// Its row in the table.
    pub name: String,
    /// When its period began, from the beginning of the load.
    pub began: Duration,
    /// Processes that were killed with it.
    pub kills: usize,
    /// How many of them were redirectors.
    pub redirectors_killed: u64,
    /// For how many seconds clicks were stamped too early.
    pub stamps_early: i64,
}

/// What a run found.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which guarantees are broken; none is what is hoped for.
    pub broken: Vec<String>,
    /// Processes killed.
    pub kills: usize,
    /// All periods together.
    pub total: Tally,
    command: String,
    level: Level,
    clock: bool,
    lasted: Duration,
    rows: BTreeMap<String, Row>,
    /// How often each status came that is not a redirect.
    refusals: BTreeMap<u16, u64>,
    strangers: u64,
    /// Clicks that the kill of one redirector may lose at the level `memory`.
    queue: u64,
    /// The most that one fault lost, and which one.
    most_lost: Option<(u64, String)>,
    ending: Ending,
}

/// What one fault, or the time without one, lost, as far as no kill explains it.
struct Loss<'a> {
    lost: u64,
    name: &'a str,
}

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    times: usize,
    kills: usize,
    tally: Tally,
}

impl Report {
    /// Puts it together.
    pub fn new(
        options: &Options,
        lasted: Duration,
        happened: &[Happened],
        requests: &[Request],
        counted: &Counted,
        ending: Ending,
    ) -> Self {
        const CALM: &str = "(no fault)";
        let mut rows = BTreeMap::<String, Row>::new();
        for fault in happened {
            let row = rows.entry(fault.name.clone()).or_default();
            row.times += 1;
            row.kills += fault.kills;
        }
        let mut report = Self {
            broken: Vec::new(),
            kills: happened.iter().map(|fault| fault.kills).sum(),
            total: Tally::default(),
            command: options.to_string(),
            level: options.level,
            clock: options.clock,
            lasted,
            rows,
            refusals: BTreeMap::new(),
            strangers: strangers(requests, counted),
            queue: options.spool_bytes() / SMALLEST_CLICK,
            most_lost: None,
            ending,
        };
        // Period 0 is before the first fault, and the last one behind the last fault.
        let faults = happened.iter().map(|fault| Period {
            began: fault.began,
            lost: 0,
            may_lose: fault.redirectors_killed * report.queue,
        });
        let mut periods = vec![Period::calm(Duration::ZERO)];
        periods.extend(faults);
        periods.push(Period::calm(lasted));
        let name = |period: usize| {
            let fault = period.checked_sub(1).and_then(|index| happened.get(index));
            fault.map_or(CALM, |fault| fault.name.as_str())
        };
        for request in requests {
            let name = name(request.period);
            let times = counted.get(&referrer(request.number)).copied().unwrap_or(0);
            report
                .rows
                .entry(name.to_owned())
                .or_default()
                .tally
                .add(request.outcome, times);
            if let Outcome::Refused(status) = request.outcome {
                *report.refusals.entry(status).or_default() += 1;
            }
            if request.outcome == Outcome::Answered && times == 0 {
                periods[request.period].lost += 1;
            }
        }
        for row in report.rows.values() {
            report.total.merge(&row.tally);
        }
        let most = (0..periods.len()).max_by_key(|period| periods[*period].lost);
        report.most_lost = most
            .map(|period| (periods[period].lost, name(period).to_owned()))
            .filter(|(lost, _)| *lost > 0);
        let losses: Vec<_> = unexplained(&periods)
            .into_iter()
            .map(|(period, lost)| Loss {
                lost,
                name: name(period),
            })
            .collect();
        let stamps_early = happened.iter().map(|fault| fault.stamps_early).max();
        report.broken = judge(&report, options, &losses, stamps_early.unwrap_or(0));
        report
    }
}
