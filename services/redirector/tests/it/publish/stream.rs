//! The stream as its reader sees it, over a connection of its own.

use std::borrow::Cow;
use std::collections::BTreeMap;

use async_nats::jetstream;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use chassis::testing::{NatsServer, eventually};
use events::{ClickBatch, Partition, streams};
use uuid::Uuid;

pub struct Stream {
    pub jetstream: jetstream::Context,
    partition: Partition,
}

impl Stream {
    /// The stream as analytics makes it.
    pub async fn declare(nats: &NatsServer) -> Self {
        Self::declare_in(nats, Partition::WHOLE).await
    }

    /// The one of a partition.
    pub async fn declare_in(nats: &NatsServer, partition: Partition) -> Self {
        let stream = Self {
            partition,
            ..Self::connect(nats).await
        };
        stream.make(-1).await;
        stream
    }

    fn name(&self) -> Cow<'static, str> {
        streams::CLICKS.name_in(self.partition)
    }

    /// Nothing but a connection.
    pub async fn connect(nats: &NatsServer) -> Self {
        let client = async_nats::connect(nats.url())
            .await
            .expect("the bus answers");
        Self {
            jetstream: jetstream::new(client),
            partition: Partition::WHOLE,
        }
    }

    pub async fn make(&self, max_messages: i64) {
        self.jetstream
            .create_or_update_stream(self.config(max_messages))
            .await
            .expect("the bus answers");
    }

    pub async fn delete(&self) {
        self.jetstream
            .delete_stream(&*self.name())
            .await
            .expect("the bus answers");
    }

    pub async fn messages(&self) -> Vec<StreamMessage> {
        let Ok(mut stream) = self.jetstream.get_stream(&*self.name()).await else {
            return Vec::new();
        };
        let state = stream.info().await.expect("the bus answers").state.clone();
        let mut messages = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            // A deleted message leaves a hole.
            messages.extend(stream.get_raw_message(sequence).await);
        }
        messages
    }

    /// The visitors of all clicks of each spool, in order; and that every batch begins where the
    /// one before it ended.
    pub async fn spools(&self) -> BTreeMap<Uuid, Vec<u64>> {
        let mut spools = BTreeMap::<Uuid, Vec<u64>>::new();
        for message in self.messages().await {
            let batch = ClickBatch::decode(&message.payload).expect("the bus answers");
            let clicks = spools.entry(batch.spool).or_default();
            assert_eq!(batch.first, clicks.len() as u64, "no hole and no repeat");
            clicks.extend(batch.clicks.iter().map(|click| click.visitor));
        }
        spools
    }

    /// The visitors of all clicks, in the stream's order.
    pub async fn clicks(&self) -> Vec<u64> {
        let mut clicks = Vec::new();
        for message in self.messages().await {
            let batch = ClickBatch::decode(&message.payload).expect("the bus answers");
            clicks.extend(batch.clicks.iter().map(|click| click.visitor));
        }
        clicks
    }

    fn config(&self, max_messages: i64) -> Config {
        let subjects = streams::CLICKS.subjects_in(self.partition);
        Config {
            name: self.name().into_owned(),
            subjects: subjects.map(Cow::into_owned).collect(),
            discard: DiscardPolicy::New,
            max_messages,
            ..Config::default()
        }
    }

    /// Waits until it holds so many clicks.
    #[track_caller]
    pub fn holds(&self, clicks: usize) -> impl Future<Output = ()> {
        eventually(move || async move { (self.clicks().await.len() >= clicks).then_some(()) })
    }
}

/// All numbers of a range.
pub fn numbers(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}
