//! What the statistics say: queries only, no change.

mod breakdown;
mod links;
mod series;
mod standing;

pub use breakdown::{BreakdownRow, breakdown};
pub use links::{LinkRow, SummaryRow, links, newest_link, summary, totals, totals_of};
pub use series::{Counts, series};
pub use standing::{applied_sequence, is_closed};
