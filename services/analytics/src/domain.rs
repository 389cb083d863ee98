//! What a request can ask for. A value that exists is valid: whoever holds one checks nothing.

mod buckets;
mod code;
mod cursor;
mod dimension;
mod event_id;
mod filter;
mod interval;
mod moment;
mod page;
mod time_range;
mod time_zone;

pub use buckets::{Bucket, buckets};
pub use code::{Code, Codes};
pub use cursor::{BreakdownCursor, LinksCursor};
pub use dimension::Dimension;
pub use event_id::EventId;
pub use filter::ClickFilter;
pub use interval::Interval;
pub use moment::Moment;
pub use page::Limit;
pub use time_range::TimeRange;
pub use time_zone::TimeZone;

/// Why a value of a request is not one: a sentence for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// A refusal with its reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
