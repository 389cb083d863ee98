use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::drain::Counted;
use super::ending::Ending;
use super::load::{Outcome, Request, referrer};
use super::tally::{Tally, strangers};
use super::{Level, Options, Scenario};

/// A fault that happened.
#[derive(Debug, Clone)]
pub struct Happened {
    /// Its row in the table.
    pub name: String,
    /// Processes that were killed with it.
    pub kills: usize,
    /// Whether one of them was a redirector.
    pub kills_redirector: bool,
    /// When it began.
    pub at: Duration,
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
    lasted: Duration,
    rows: BTreeMap<String, Row>,
    /// How often each status came that is not a redirect.
    refusals: BTreeMap<u16, u64>,
    strangers: u64,
    oldest_lost: Option<Duration>,
    ending: Ending,
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
            lasted,
            rows,
            refusals: BTreeMap::new(),
            strangers: strangers(requests, counted),
            oldest_lost: None,
            ending,
        };
        let mut lost_without_kill = 0;
        for request in requests {
            // Period 0 is before the first fault, and the last one behind the last fault.
            let fault = request
                .period
                .checked_sub(1)
                .and_then(|index| happened.get(index));
            let name = fault.map_or(CALM, |fault| &fault.name);
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
                match fault.filter(|fault| fault.kills_redirector) {
                    Some(fault) => {
                        let age = fault.at.saturating_sub(request.at);
                        report.oldest_lost = report.oldest_lost.max(Some(age));
                    }
                    None => lost_without_kill += 1,
                }
            }
        }
        for row in report.rows.values() {
            report.total.merge(&row.tally);
        }
        report.judge(options, lost_without_kill);
        report
    }

    fn judge(&mut self, options: &Options, lost_without_kill: u64) {
        let total = self.total;
        let mut broken = Vec::new();
        let mut check = |holds: bool, what: String| {
            if !holds {
                broken.push(what);
            }
        };
        check(total.answered > 0, "nothing was answered".to_owned());
        check(
            total.double == 0,
            format!("{} clicks are counted more than once", total.double),
        );
        let invented = total.invented + self.strangers;
        check(invented == 0, format!("{invented} clicks are invented"));
        check(
            self.ending.missed == Some(0.0),
            format!("messages missed: {:?}", self.ending.missed),
        );
        match (options.scenario, options.level) {
            (Scenario::Full, _) => {
                let (lost, dropped) = (total.lost, self.ending.dropped.total());
                // A request that was cut off may have been dropped as well.
                let most = total.lost + total.cut_off - total.counted_unanswered;
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                let holds = (lost as f64..=most as f64).contains(&dropped);
                check(
                    holds,
                    format!("{lost} clicks are lost and {dropped} said to be dropped"),
                );
            }
            (Scenario::Mixed, Level::Memory) => check(
                lost_without_kill == 0,
                format!("{lost_without_kill} clicks are lost though no redirector was killed"),
            ),
            (Scenario::Mixed, Level::Spool | Level::Ack) => {
                check(
                    total.lost == 0,
                    format!("{} answered clicks are lost", total.lost),
                );
                let missing = self.ending.missing;
                check(
                    missing == Some(0.0),
                    format!("analytics misses clicks: {missing:?}"),
                );
            }
        }
        self.broken = broken;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEAD: [&str; 9] = [
            "fault",
            "times",
            "kills",
            "answered",
            "counted",
            "lost",
            "double",
            "cut off",
            "of these counted",
        ];
        let total = self.total;
        writeln!(to, "`{}`\n", self.command)?;
        writeln!(
            to,
            "| {} |\n|---|{}",
            HEAD.join(" | "),
            "---:|".repeat(HEAD.len() - 1)
        )?;
        let mut all = Row {
            tally: total,
            ..Row::default()
        };
        for (name, row) in &self.rows {
            all.times += row.times;
            all.kills += row.kills;
            line(to, name, row)?;
        }
        line(to, "**all**", &all)?;
        let seconds = self.lasted.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let rate = total.answered as f64 / seconds;
        writeln!(
            to,
            "\n{seconds:.0} s, {rate:.0} answers/s; {} requests found nobody, {} were refused {:?}; \
             invented: {}; gaps: {}, messages missed: {}",
            total.not_sent,
            total.refused,
            self.refusals,
            total.invented + self.strangers,
            known(self.ending.missing),
            known(self.ending.missed),
        )?;
        if self.level == Level::Ack {
            writeln!(
                to,
                "answers that did not wait for the stream: {}",
                self.ending.fallbacks.total()
            )?;
        }
        if self.ending.dropped.total() > 0.0 {
            writeln!(
                to,
                "clicks that redirectors said they dropped: {}",
                self.ending.dropped.total()
            )?;
        }
        if let Some(age) = self.oldest_lost {
            writeln!(
                to,
                "the oldest lost click was answered {age:.1?} before the fault"
            )?;
        }
        for text in self.ending.unclean.iter().chain(&self.ending.ended) {
            writeln!(to, "note: {text}")?;
        }
        match self.broken.as_slice() {
            [] => write!(to, "Every guarantee of the level `{}` held.", self.level),
            broken => write!(to, "BROKEN: {}", broken.join("; ")),
        }
    }
}

fn line(to: &mut fmt::Formatter<'_>, name: &str, row: &Row) -> fmt::Result {
    let Row {
        times,
        kills,
        tally,
    } = row;
    writeln!(
        to,
        "| {name} | {times} | {kills} | {} | {} | {} | {} | {} | {} |",
        tally.answered,
        tally.counted,
        tally.lost,
        tally.double,
        tally.cut_off,
        tally.counted_unanswered
    )
}

fn known(value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| value.to_string())
}
