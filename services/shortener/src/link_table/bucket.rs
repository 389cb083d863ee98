//! What the bucket holds, and what its stream looks like from outside.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::GetStreamErrorKind;
use chassis::bus::{Bus, Start, StoredMessage};
use events::streams::{EPOCH_KEY, LINKS};
use events::{LinkRecord, subjects};

use crate::store::Difference;

/// How long the next message of a full read may take. The server sends them in a row; a silence
/// means that the connection is gone.
const SILENCE: Duration = Duration::from_secs(10);

/// A fingerprint of each value, by subject. Not the values themselves: a million links fit in
/// some dozens of megabytes.
#[derive(Debug, Default)]
pub struct Bucket {
    values: HashMap<String, Value>,
}

#[derive(Debug, Clone, Copy)]
struct Value {
    fingerprint: u64,
    /// 0 if it is not a record.
    version: u64,
}

impl Bucket {
    /// Reads the whole bucket.
    pub async fn read(bus: &Bus) -> anyhow::Result<Self> {
        let mut follow = bus
            .follow(LINKS.name, Some(subjects::LINKS_ALL), Start::LastPerSubject)
            .await?;
        let mut bucket = Self::default();
        let mut pending = follow.backlog();
        while pending > 0 {
            let next = tokio::time::timeout(SILENCE, follow.next()).await;
            let message = next
                .context("the bucket fell silent")?
                .context("the bucket is gone")??;
            pending = message.pending;
            bucket.add(message);
        }
        Ok(bucket)
    }

    /// How many values there are.
    pub fn len(&self) -> u64 {
        self.values.len() as u64
    }

    /// Takes the value of a link out: the difference, if it is not what it should be.
    pub fn take(&mut self, record: &LinkRecord) -> Option<Difference> {
        let subject = subjects::link(&record.code);
        let value = self.values.remove(&subject);
        if value.is_some_and(|value| value.fingerprint == fingerprint(&record.encode())) {
            return None;
        }
        Some(Difference {
            subject,
            version: value.map_or(0, |value| value.version),
        })
    }

    /// What was not taken: values without a link.
    pub fn rest(self) -> impl Iterator<Item = Difference> {
        let difference = |(subject, value): (_, Value)| Difference {
            subject,
            version: value.version,
        };
        self.values.into_iter().map(difference)
    }

    fn add(&mut self, message: StoredMessage) {
        // A deletion (by us, by `nats kv del`, by a limit) is a message without a value.
        let deleted = ["KV-Operation", "Nats-Marker-Reason"].iter().any(|name| {
            message
                .headers
                .get(*name)
                .is_some_and(|value| value.as_str() != "PUT")
        });
        if deleted {
            self.values.remove(&message.subject);
            return;
        }
        let version = LinkRecord::decode(&message.payload).map_or(0, |record| record.version);
        let value = Value {
            fingerprint: fingerprint(&message.payload),
            version,
        };
        self.values.insert(message.subject, value);
    }
}

/// 64 bits are enough to find accidents; against who can write to the bucket there is no help.
fn fingerprint(payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    hasher.finish()
}

/// What the stream under the bucket looks like, without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its identity: another one means that it was made anew.
    pub epoch: String,
    /// One for each subject ever used, since a deletion leaves a marker: it never shrinks.
    pub messages: u64,
    /// The last sequence: it never shrinks.
    pub last: u64,
}

impl State {
    /// The state of the stream now; an error if there is none.
    pub async fn of(bus: &Bus) -> anyhow::Result<Self> {
        Self::find(bus).await?.context("the bucket is not there")
    }

    /// The state of the stream now; none if there is no such stream.
    pub async fn find(bus: &Bus) -> anyhow::Result<Option<Self>> {
        let stream = match bus.jetstream().get_stream(LINKS.name).await {
            Ok(stream) => stream,
            Err(error) => {
                let missing = matches!(error.kind(), GetStreamErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND);
                return if missing { Ok(None) } else { Err(error.into()) };
            }
        };
        let info = stream.cached_info();
        let epoch = info.config.metadata.get(EPOCH_KEY).cloned();
        Ok(Some(Self {
            epoch: epoch.unwrap_or_else(|| info.created.to_string()),
            messages: info.state.messages,
            last: info.state.last_sequence,
        }))
    }

    /// Whether this can be what became of `before` by adding messages only.
    pub fn continues(&self, before: &Self) -> bool {
        self.epoch == before.epoch && self.messages >= before.messages && self.last >= before.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(epoch: &str, messages: u64, last: u64) -> State {
        State {
            epoch: epoch.to_owned(),
            messages,
            last,
        }
    }

    #[test]
    fn a_stream_that_shrank_or_was_made_anew_does_not_continue() {
        let before = state("a", 10, 20);
        assert!(state("a", 10, 20).continues(&before));
        assert!(state("a", 11, 25).continues(&before));
        assert!(!state("b", 11, 25).continues(&before));
        assert!(!state("a", 9, 25).continues(&before));
        assert!(!state("a", 10, 19).continues(&before));
    }
}
