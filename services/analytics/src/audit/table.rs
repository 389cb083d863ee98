use std::fmt::Write as _;

use jiff::SignedDuration;

use super::evidence::Evidence;
use super::verdict::{Line, Numbers, State, Verdict};

/// Spools that are shown one by one. More than that nobody reads; the sums hold all.
const SHOWN: usize = 200;

pub(super) fn render(verdict: &Verdict, evidence: &Evidence, now_ms: i64) -> String {
    let mut text = String::new();
    row(
        &mut text,
        "spool",
        "state",
        "appended published counted outstanding missing".split(' '),
        "reported",
    );
    let is_interesting = |line: &&Line| {
        line.state == State::Open || line.numbers.outstanding > 0 || line.numbers.missing > 0
    };
    for line in verdict.lines.iter().filter(is_interesting).take(SHOWN) {
        let reported = line.reported_at_ms.map_or_else(
            || "never".to_owned(),
            |at_ms| format!("{} ago", age(now_ms - at_ms)),
        );
        numbers(
            &mut text,
            &line.spool.to_string(),
            line.state.as_str(),
            &line.numbers,
            &reported,
        );
    }
    let all = format!("all {} spools", verdict.lines.len());
    numbers(&mut text, &all, "", &verdict.total, "");
    text.push('\n');
    if evidence.missed > 0 {
        line(
            &mut text,
            format_args!(
                "{} messages left the stream before they were read; their clicks show above as missing",
                evidence.missed
            ),
        );
    }
    if evidence.dead > 0 {
        line(
            &mut text,
            format_args!("{} messages are set aside: see `dead list`", evidence.dead),
        );
    }
    match verdict.total.missing {
        0 => line(&mut text, format_args!("nothing is missing")),
        missing => line(&mut text, format_args!("{missing} clicks are missing")),
    }
    text
}

fn numbers(text: &mut String, spool: &str, state: &str, numbers: &Numbers, reported: &str) {
    let columns = [
        numbers.appended,
        numbers.published,
        numbers.counted,
        numbers.outstanding,
        numbers.missing,
    ];
    row(
        text,
        spool,
        state,
        columns.map(|number| number.to_string()),
        reported,
    );
}

fn row(
    text: &mut String,
    spool: &str,
    state: &str,
    columns: impl IntoIterator<Item = impl AsRef<str>>,
    reported: &str,
) {
    let mut row = format!("{spool:36}  {state:11}");
    for column in columns {
        // Writing into a String can't fail.
        let _ = write!(row, "  {:>11}", column.as_ref());
    }
    line(text, format_args!("{row}  {reported}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a String can't fail.
    let _ = writeln!(text, "{}", line.to_string().trim_end());
}

/// In whole seconds, minutes, hours or days.
fn age(ms: i64) -> String {
    let seconds = SignedDuration::from_millis(ms.max(0)).as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
