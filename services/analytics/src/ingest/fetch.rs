//! Takes from the stream what one transaction applies.
//!
//! A transaction costs by the pages of the file that it changes, and clicks of many links lie on
//! many pages: the more clicks share a transaction, the less each of them costs. So while clicks
//! keep coming, the next set is gathered for as long as the last one took to store, a few times
//! over; where there is little to do that is nothing.

use std::time::Duration;

use anyhow::anyhow;
use chassis::bus::{self, Follow, StoredMessage};
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use super::turns::{Flow, QUIET};

/// Bytes of messages that one transaction applies at most: some 200,000 clicks. It bounds the
/// memory, since a set takes about five times as much of it, and there are two: one that is
/// gathered while the other one is stored.
pub const SET_BYTES: usize = 16 << 20;

/// Messages that one transaction applies at most: many lonely clicks are as much work.
pub const SET_MESSAGES: usize = 20_000;

/// For how many times as long as the last set took to store the next one is gathered.
const GATHER_FACTOR: u32 = 4;

/// For how long a set is gathered at most: so much later than they could be are the statistics.
const GATHER_LIMIT: Duration = Duration::from_secs(4);

/// When a full set is taken and this part of it waits already, more comes than is counted.
const BEHIND: u64 = 4;

/// Messages, and why there are no more of them, if that is so.
pub struct Fetched {
    /// In stream order; empty only if there is an end.
    pub messages: Vec<StoredMessage>,
    /// Why the session with the stream is over.
    pub end: Option<anyhow::Error>,
}

/// Waits for a message and takes what else there is, as much as one transaction applies; tells
/// `flow` of it. The last set `took` so long to store.
pub async fn fetch(follow: &mut Follow, took: Duration, flow: &Flow) -> Fetched {
    let mut bytes = 0;
    let mut fetched = Fetched {
        messages: Vec::new(),
        end: None,
    };
    let mut next = follow.next().await;
    let until = Instant::now() + (GATHER_FACTOR * took).min(GATHER_LIMIT);
    loop {
        let pending = match next {
            Some(Ok(message)) => {
                flow.came();
                bytes += message.payload.len();
                let pending = message.pending;
                fetched.messages.push(message);
                pending
            }
            Some(Err(error)) => {
                fetched.end = Some(error.into());
                return fetched;
            }
            None => {
                fetched.end = Some(anyhow!("the stream ended"));
                return fetched;
            }
        };
        if bytes >= SET_BYTES || fetched.messages.len() >= SET_MESSAGES {
            flow.set_behind(pending > fetched.messages.len() as u64 / BEHIND);
            return fetched;
        }
        let Some(more) = more(follow, pending > 0, until).await else {
            flow.set_behind(false);
            return fetched;
        };
        next = more;
    }
}

/// What comes next; none if that takes too long. What the server has already is worth waiting for.
async fn more(
    follow: &mut Follow,
    is_pending: bool,
    until: Instant,
) -> Option<Option<Result<StoredMessage, bus::Error>>> {
    if let Some(ready) = follow.next().now_or_never() {
        return Some(ready);
    }
    let quiet = Instant::now() + QUIET;
    let until = if is_pending { quiet } else { quiet.min(until) };
    timeout_at(until, follow.next()).await.ok()
}
