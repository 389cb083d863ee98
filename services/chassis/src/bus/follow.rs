use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{Consumer, DeliverPolicy};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::Bus;

/// How long a request to the server may take. Longer than a cluster needs to choose a leader.
const TIMEOUT: Duration = Duration::from_secs(10);

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
pub struct Follow {
    stream: String,
    messages: Ordered,
    backlog: u64,
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
        let config = OrderedConfig {
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
            ..OrderedConfig::default()
        };
        let opening = async {
            let handle = self
                .jetstream()
                .get_stream_no_info(stream)
                .await
                .map_err(|error| fail(error.to_string()))?;
            let consumer: Consumer<OrderedConfig> = handle
                .create_consumer(config)
                .await
                .map_err(|error| fail(error.to_string()))?;
            let backlog = consumer.cached_info().num_pending;
            let messages = consumer
                .messages()
                .await
                .map_err(|error| fail(error.to_string()))?;
            Ok(Follow {
                stream: stream.to_owned(),
                messages,
                backlog,
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
