//! What each stream is, declared once. The owner of a stream creates and updates it; everybody
//! else waits for it.

use std::time::Duration;

use crate::subjects;

/// The key in a stream's metadata under which its identity (a UUID made at its creation) stands.
/// A stream that was deleted and made anew has another one.
pub const EPOCH_KEY: &str = "kurz-epoch";

/// Names the link table's bucket.
pub const LINKS_BUCKET: &str = "links";

const DAY: Duration = Duration::from_hours(24);

/// What a stream is: everything that its owner decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSpec {
    /// Its name on the bus.
    pub name: &'static str,
    /// One line for whoever looks at the bus.
    pub description: &'static str,
    /// The subjects that it stores.
    pub subjects: &'static [&'static str],
    /// Whether each partition has one of its own; see [`StreamSpec::name_in`].
    pub partitioned: bool,
    /// How many messages of one subject it keeps; none for all of them.
    pub max_messages_per_subject: Option<u32>,
    /// How old its messages get; none for any age.
    pub max_age: Option<Duration>,
    /// How many bytes it holds at most; none for as many as the disk takes.
    pub max_bytes: Option<u64>,
    /// What happens at a limit: `true` refuses the new message, `false` forgets the oldest.
    pub discard_new: bool,
    /// Whether it is a key-value bucket: its values may be rolled up and read from any replica.
    pub bucket: bool,
}

/// Batches of clicks, in the order in which they are counted. Loses nothing by itself: when it is
/// full it refuses, and the clicks wait in the redirectors' spools.
pub const CLICKS: StreamSpec = StreamSpec {
    name: "CLICKS",
    description: "Batches of clicks from the redirectors; analytics deletes what it has applied",
    subjects: &[subjects::CLICKS_ALL],
    partitioned: true,
    max_messages_per_subject: None,
    max_age: None,
    max_bytes: None,
    discard_new: true,
    bucket: false,
};

/// One message for each click, for subscribers; kept for three days.
pub const FEED: StreamSpec = StreamSpec {
    name: "FEED",
    description: "One CloudEvent for each click of the accounts that turned their feed on",
    subjects: &[subjects::FEED_ALL],
    partitioned: true,
    max_messages_per_subject: None,
    max_age: Some(Duration::from_hours(72)),
    max_bytes: None,
    discard_new: false,
    bucket: false,
};

/// Messages that could not be read, with the reason in a header; kept for 90 days.
pub const DEAD: StreamSpec = StreamSpec {
    name: "DEAD",
    description: "Messages that could not be read or applied, with the reason in a header",
    subjects: &[subjects::DEAD_ALL],
    partitioned: false,
    max_messages_per_subject: None,
    max_age: Some(Duration::from_secs(DAY.as_secs() * 90)),
    max_bytes: None,
    discard_new: true,
    bucket: false,
};

/// How far each spool has come, the last word of each; kept for 90 days, far longer than clicks wait
/// anywhere.
pub const SPOOLS: StreamSpec = StreamSpec {
    name: "SPOOLS",
    description: "How far each redirector's spool was appended and acknowledged, for the audit",
    subjects: &[subjects::SPOOLS_ALL],
    partitioned: false,
    max_messages_per_subject: Some(1),
    max_age: Some(Duration::from_secs(DAY.as_secs() * 90)),
    max_bytes: None,
    discard_new: false,
    bucket: false,
};

/// The ids of closed accounts, for ever.
pub const ACCOUNTS: StreamSpec = StreamSpec {
    name: "ACCOUNTS",
    description: "Closed accounts (ids only); never expires, so that a restore cannot revive them",
    subjects: &[subjects::ACCOUNTS_CLOSED],
    partitioned: false,
    max_messages_per_subject: Some(1),
    max_age: None,
    max_bytes: None,
    discard_new: false,
    bucket: false,
};

/// The link table: the last value under each code.
pub const LINKS: StreamSpec = StreamSpec {
    name: "KV_links",
    description: "The link table: one value for each code",
    subjects: &[subjects::LINKS_ALL],
    partitioned: false,
    max_messages_per_subject: Some(1),
    max_age: None,
    max_bytes: None,
    discard_new: true,
    bucket: true,
};

/// All of them.
pub const ALL: [&StreamSpec; 6] = [&CLICKS, &FEED, &DEAD, &SPOOLS, &ACCOUNTS, &LINKS];
