use super::{Loss, Report};
use crate::crash::{Level, Options, Scenario};

/// What a redirector answers that has not loaded the links yet.
const BUSY: u16 = 503;

/// Which guarantees are broken. `losses` are what no kill explains at the level `memory`, and
/// `stamps_early` is for how many seconds the clicks of some fault were
/// stamped too early.
pub fn judge(
    report: &Report,
    options: &Options,
    losses: &[Loss<'_>],
    stamps_early: i64,
) -> Vec<String> {
    let total = report.total;
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
    let invented = total.invented + report.strangers;
    check(invented == 0, format!("{invented} clicks are invented"));
    let refused = report
        .refusals
        .iter()
        .filter(|(status, _)| **status != BUSY);
    let refused: u64 = refused.map(|(_, times)| times).sum();
    check(
        refused == 0,
        format!("{refused} answers were neither the redirect nor a plea for patience"),
    );
    // Else the clocks were never wrong. How long before the beginning depends on when that was.
    let early = report.ending.stamped_early;
    let lasted = i64::try_from(report.lasted.as_secs()).unwrap_or(i64::MAX);
    check(
        early >= stamps_early - lasted,
        format!("no click is stamped {stamps_early} s early: at most {early} s"),
    );
    let feed = report.ending.feed;
    check(
        feed.missing + feed.surplus + feed.repeated == 0,
        format!("the feed differs from the count: {feed:?}"),
    );
    let disorder = report.ending.unclean.len() + report.ending.ended.len();
    check(
        disorder == 0,
        format!("{disorder} processes ended by themselves or did not stop in order"),
    );
    check(
        report.ending.missed == Some(0.0),
        format!("messages missed: {:?}", report.ending.missed),
    );
    match (options.scenario, options.level) {
        (Scenario::Full, _) => {
            let (lost, dropped) = (total.lost, report.ending.dropped.total());
            // A request that was cut off may have been dropped as well.
            let most = total.lost + total.cut_off - total.counted_unanswered;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let holds = (lost as f64..=most as f64).contains(&dropped);
            check(
                holds,
                format!("{lost} clicks are lost and {dropped} said to be dropped"),
            );
        }
        (Scenario::Mixed, Level::Memory) => {
            for Loss { lost, name } in losses {
                check(
                    false,
                    format!("{name}: {lost} clicks are lost that no kill of a redirector explains"),
                );
            }
        }
        (Scenario::Mixed, Level::Spool | Level::Ack) => {
            check(
                total.lost == 0,
                format!("{} answered clicks are lost", total.lost),
            );
            let missing = report.ending.missing;
            check(
                missing == Some(0.0),
                format!("analytics misses clicks: {missing:?}"),
            );
        }
    }
    broken
}
