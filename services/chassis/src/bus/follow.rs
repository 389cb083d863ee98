use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::Bus;

/// How long a request to the server may take. Longer than a cluster needs to choose a leader.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Messages that are asked for at once: enough that the server never waits for the next request.
const PULL: usize = 500;

/// Bytes that are asked for at once, since a follow that is not read holds what came: half as much
/// again at most. Far more than the largest message that a server takes (1 MiB unless it is told
/// otherwise).
const PULL_BYTES: usize = 16 << 20;

/// How long one request for messages stays open while none come.
const PULL_EXPIRES: Duration = Duration::from_secs(30);

/// How often the server says that it is still there while no messages come. After two that stay
/// away the follow ends.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// After this time without a request the server forgets the consumer: whoever follows may be busy
/// with what was read for as long.
const INACTIVE: Duration = Duration::from_mins(1);

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first message that the stream still holds.
    First,
    /// With this sequence, or the first one behind it that the stream still holds.
    Sequence(u64),
    /// With the last message of each subject, then everything that comes.
    LastPerSubject,
    /// With the next message that comes.
    New,
}

/// A message as the stream holds it.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Its subject.
    pub subject: String,
    /// Its place in the stream.
    pub sequence: u64,
    /// When the server stored it, in nanoseconds since 1970.
    pub stored_at_ns: i128,
    /// Its bytes.
    pub payload: Bytes,
    /// Its headers.
    pub headers: HeaderMap,
    /// How many messages stand behind it now.
    pub pending: u64,
}

/// A stream could not be followed any further. A new [`Bus::follow`] from one's own position goes
/// on where this one stopped.
#[derive(Debug, thiserror::Error)]
#[error("can't follow the stream {stream}: {reason}")]
pub struct Error {
    stream: String,
    reason: String,
}

/// Messages of one stream, in their order, none left out.
///
/// Behind it is one consumer of the server. It lives in the server's memory and ends with the
/// stream, or with the server, and then the follow ends with an error: it never goes on by itself
/// in another stream that has the same name.
pub struct Follow {
    stream: String,
    probe: Probe,
    messages: pull::Stream,
    backlog: u64,
    /// How many of those are to come.
    left: u64,
    /// How many messages the consumer has sent.
    delivered: u64,
}

/// Asks the server about a follow, also while that waits for its next message.
#[derive(Debug, Clone)]
pub struct Probe {
    stream: String,
    consumer: Consumer<pull::Config>,
    came: Arc<AtomicU64>,
}

impl Bus {
    /// Follows `stream`, or those of its messages whose subject matches `filter`.
    ///
    /// Nothing is acknowledged and the server remembers nothing: whoever follows keeps their own
    /// position. An error if NATS or the stream is not there.
    pub async fn follow(
        &self,
        stream: &str,
        filter: Option<&str>,
        start: Start,
    ) -> Result<Follow, Error> {
        let fail = |reason: String| Error {
            stream: stream.to_owned(),
            reason,
        };
        let config = pull::Config {
            ack_policy: AckPolicy::None,
            inactive_threshold: INACTIVE,
            memory_storage: true,
            num_replicas: 1,
            filter_subject: filter.unwrap_or_default().to_owned(),
            deliver_policy: match start {
                Start::First => DeliverPolicy::All,
                // 0 and 1 are both the beginning; the server takes only the latter.
                Start::Sequence(sequence) => DeliverPolicy::ByStartSequence {
                    start_sequence: sequence.max(1),
                },
                Start::LastPerSubject => DeliverPolicy::LastPerSubject,
                Start::New => DeliverPolicy::New,
            },
            ..pull::Config::default()
        };
        let opening = async {
            let handle = self
                .jetstream()
                .get_stream_no_info(stream)
                .await
                .map_err(|error| fail(error.to_string()))?;
            let consumer = handle
                .create_consumer(config)
                .await
                .map_err(|error| fail(error.to_string()))?;
            let backlog = consumer.cached_info().num_pending;
            let messages = consumer
                .stream()
                .max_messages_per_batch(PULL)
                .max_bytes_per_batch(PULL_BYTES)
                .expires(PULL_EXPIRES)
                .heartbeat(HEARTBEAT)
                .messages()
                .await
                .map_err(|error| fail(error.to_string()))?;
            Ok(Follow {
                stream: stream.to_owned(),
                probe: Probe {
                    stream: stream.to_owned(),
                    consumer,
                    came: Arc::default(),
                },
                messages,
                backlog,
                left: backlog,
                delivered: 0,
            })
        };
        tokio::time::timeout(TIMEOUT, opening)
            .await
            .unwrap_or_else(|_| Err(fail(format!("no answer within {TIMEOUT:?}"))))
    }
}

impl Follow {
    /// How many messages there were to read when this began; with none of them, there is nothing
    /// to catch up with.
    pub fn backlog(&self) -> u64 {
        self.backlog
    }

    /// A probe of this follow.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// The next of the messages that were there when this began; none behind the last of them. An
    /// error also if it does not come within 10 seconds: the server has it.
    pub async fn next_of_backlog(&mut self) -> Result<Option<StoredMessage>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        let message = match tokio::time::timeout(TIMEOUT, self.next()).await {
            Ok(Some(message)) => message?,
            Ok(None) => return Err(self.error("it ended")),
            Err(_) => return Err(self.error(&format!("it said nothing for {TIMEOUT:?}"))),
        };
        // Some of those that were there may be gone by now.
        self.left = (self.left - 1).min(message.pending);
        Ok(Some(message))
    }

    /// How many messages [`Follow::next_of_backlog`] has still to give.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next message; waits for it. After an error or `None`, follow anew.
    pub async fn next(&mut self) -> Option<Result<StoredMessage, Error>> {
        let message = match self.messages.next().await? {
            Ok(message) => message,
            Err(error) => return Some(Err(self.error(&error.to_string()))),
        };
        let info = match message.info() {
            Ok(info) => info,
            Err(error) => return Some(Err(self.error(&error.to_string()))),
        };
        self.delivered += 1;
        if info.consumer_sequence != self.delivered {
            return Some(Err(self.error("messages were lost on their way")));
        }
        self.probe
            .came
            .store(info.stream_sequence, Ordering::Relaxed);
        Some(Ok(StoredMessage {
            sequence: info.stream_sequence,
            stored_at_ns: info.published.unix_timestamp_nanos(),
            pending: info.pending,
            subject: message.subject.to_string(),
            payload: message.payload.clone(),
            headers: message.headers.clone().unwrap_or_default(),
        }))
    }

    fn error(&self, reason: &str) -> Error {
        Error {
            stream: self.stream.clone(),
            reason: reason.to_owned(),
        }
    }
}

impl Probe {
    /// The sequence of the last message that [`Follow::next`] gave; 0 before the first.
    pub fn came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    /// How many messages the server has not sent yet. An error if it has forgotten the consumer:
    /// without one, the stream is still the one in which the follow began.
    pub async fn pending(&self) -> Result<u64, Error> {
        let reason = match tokio::time::timeout(TIMEOUT, self.consumer.get_info()).await {
            Ok(Ok(info)) => return Ok(info.num_pending),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {TIMEOUT:?}"),
        };
        Err(Error {
            stream: self.stream.clone(),
            reason,
        })
    }
}
