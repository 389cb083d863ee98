//! Takes from the stream what one transaction applies.

use anyhow::anyhow;
use chassis::bus::{Follow, StoredMessage};
use futures_util::FutureExt as _;

/// Bytes of messages that one transaction applies at most: about 20,000 clicks. More saves little
/// and delays the statistics; it also bounds the memory.
pub const SET_BYTES: usize = 3 << 20;

/// Messages that one transaction applies at most: many lonely clicks are as much work.
pub const SET_MESSAGES: usize = 5_000;

/// Messages, and why there are no more of them, if that is so.
pub struct Fetched {
    /// In stream order; empty only if there is an end.
    pub messages: Vec<StoredMessage>,
    /// Why the session with the stream is over.
    pub end: Option<anyhow::Error>,
}

/// Waits for a message and takes what else has come, as much as one transaction applies.
pub async fn fetch(follow: &mut Follow) -> Fetched {
    let mut bytes = 0;
    let mut fetched = Fetched {
        messages: Vec::new(),
        end: None,
    };
    let mut next = follow.next().await;
    loop {
        match next {
            Some(Ok(message)) => {
                bytes += message.payload.len();
                fetched.messages.push(message);
            }
            Some(Err(error)) => {
                fetched.end = Some(error.into());
                return fetched;
            }
            None => {
                fetched.end = Some(anyhow!("the stream ended"));
                return fetched;
            }
        }
        if bytes >= SET_BYTES || fetched.messages.len() >= SET_MESSAGES {
            return fetched;
        }
        let Some(ready) = follow.next().now_or_never() else {
            return fetched;
        };
        next = ready;
    }
}
