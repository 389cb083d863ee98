//! The comparison, for a person.

use std::fmt::Write as _;

use crate::store::compare::Comparison;

/// A table of both databases, and where they differ.
pub(super) fn render(compared: &Comparison) -> String {
    let Comparison { now, rebuilt, .. } = compared;
    let mut text = format!("{:10}  {:>14}  {:>14}\n", "", "now", "rebuilt");
    // Writing into a String can't fail.
    for (name, now, rebuilt) in [
        ("humans", now.humans, rebuilt.humans),
        ("bots", now.bots, rebuilt.bots),
        ("others", now.others, rebuilt.others),
        ("visitors", now.visitors, rebuilt.visitors),
        ("missing", now.missing, rebuilt.missing),
    ] {
        let _ = writeln!(text, "{name:10}  {now:>14}  {rebuilt:>14}");
    }
    for (table, rows) in compared.differences.iter().filter(|(_, rows)| *rows > 0) {
        let _ = writeln!(text, "{rows} rows of {table} differ");
    }
    for link in &compared.links {
        let _ = writeln!(
            text,
            "  /{}: {} clicks ({} of bots) become {} ({} of bots)",
            link.code,
            link.now.humans + link.now.bots,
            link.now.bots,
            link.rebuilt.humans + link.rebuilt.bots,
            link.rebuilt.bots,
        );
    }
    text
}
