use std::fmt;

use super::{Report, Row};
use crate::crash::Level;

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
        writeln!(to)?;
        self.notes(to)?;
        match self.broken.as_slice() {
            [] => write!(to, "Every guarantee of the level `{}` held.", self.level),
            broken => write!(to, "BROKEN: {}", broken.join("; ")),
        }
    }
}

impl Report {
    /// What stands below the table.
    fn notes(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (total, ending) = (self.total, &self.ending);
        let seconds = self.lasted.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let rate = total.answered as f64 / seconds;
        writeln!(to, "- {seconds:.0} s, {rate:.0} answers/s")?;
        let found_nobody = total.not_sent;
        writeln!(to, "- requests that found nobody: {found_nobody}")?;
        for (status, times) in &self.refusals {
            writeln!(to, "- answered {status}: {times}")?;
        }
        writeln!(to, "- invented: {}", total.invented + self.strangers)?;
        let feed = ending.feed;
        writeln!(
            to,
            "- the feed: {} clicks; counted and not there: {}, there and not counted: {}, \
             repeated: {}",
            feed.clicks, feed.missing, feed.surplus, feed.repeated
        )?;
        let (gaps, missed) = (known(ending.missing), known(ending.missed));
        writeln!(to, "- clicks in gaps: {gaps}; messages missed: {missed}")?;
        if self.level == Level::Ack {
            let fallbacks = ending.fallbacks.total();
            writeln!(
                to,
                "- answers that did not wait for the stream: {fallbacks}"
            )?;
        }
        if ending.dropped.total() > 0.0 {
            let dropped = ending.dropped.total();
            writeln!(to, "- clicks that redirectors said they dropped: {dropped}")?;
        }
        if let Some((lost, name)) = &self.most_lost {
            writeln!(to, "- the most that one fault lost: {lost} ({name})")?;
        }
        if self.level == Level::Memory {
            let queue = self.queue;
            writeln!(to, "- clicks that each killed redirector may lose: {queue}")?;
        }
        if self.clock {
            let early = ending.stamped_early;
            writeln!(
                to,
                "- the earliest click is stamped {early} s before the run began"
            )?;
        }
        for text in ending.unclean.iter().chain(&ending.ended) {
            writeln!(to, "- note: {text}")?;
        }
        writeln!(to)
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
