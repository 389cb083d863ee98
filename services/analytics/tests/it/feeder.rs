//! Plays the redirectors: publishes batches of clicks straight to the stream.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use async_nats::jetstream;
use async_nats::jetstream::message::PublishMessage;
use events::{Click, ClickBatch, Hints, Partition, subjects};
use uuid::Uuid;

/// A user agent that counts as a person.
pub const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";
/// A user agent that counts as a bot.
pub const CURL: &str = "curl/8.5.0";
/// 2026-03-01T12:00:00Z, in milliseconds.
pub const NOON: i64 = 1_772_366_400_000;

/// A click of a person on a link.
pub fn click(link_id: Uuid, owner_id: Uuid, number: u64) -> Click {
    Click {
        link_id,
        owner_id,
        code: "abc".into(),
        at_ms: NOON + i64::try_from(number).unwrap(),
        hints: Hints::NONE,
        referrer: "news.example".into(),
        user_agent: FIREFOX.into(),
        language: "de".into(),
        country: Some("DE".into()),
        visitor: number,
    }
}

/// One redirector's spool.
pub struct Feeder {
    jetstream: jetstream::Context,
    pub spool: Uuid,
    pub link_id: Uuid,
    pub owner_id: Uuid,
}

impl Feeder {
    /// A new spool, a new link.
    pub async fn new(nats_url: &str) -> Self {
        let client = async_nats::connect(nats_url).await.unwrap();
        Self {
            jetstream: jetstream::new(client),
            spool: Uuid::now_v7(),
            link_id: Uuid::now_v7(),
            owner_id: Uuid::now_v7(),
        }
    }

    /// The streams, as the redirector sees them.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// Another spool for the same link.
    pub fn other_spool(&self) -> Self {
        Self {
            jetstream: self.jetstream.clone(),
            spool: Uuid::now_v7(),
            ..*self
        }
    }

    /// Publishes the clicks with these numbers, each told by its number; the message's sequence.
    pub async fn publish(&self, numbers: std::ops::Range<u64>) -> u64 {
        let first = numbers.start;
        let clicks = numbers
            .map(|number| click(self.link_id, self.owner_id, number))
            .collect();
        self.publish_clicks(first, clicks).await
    }

    /// Publishes these clicks.
    pub async fn publish_clicks(&self, first: u64, clicks: Vec<Click>) -> u64 {
        let batch = ClickBatch {
            spool: self.spool,
            first,
            clicks,
        };
        self.publish_bytes(batch.encode()).await
    }

    /// Publishes whatever bytes.
    pub async fn publish_bytes(&self, payload: Vec<u8>) -> u64 {
        chassis::testing::eventually(|| async {
            let message = PublishMessage::build().payload(payload.clone().into());
            let subject = subjects::clicks(Partition::WHOLE, self.spool);
            // The stream may not be declared yet.
            let sent = self.jetstream.send_publish(subject, message).await.ok()?;
            Some(sent.await.ok()?.sequence)
        })
        .await
    }
}
