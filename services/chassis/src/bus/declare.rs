use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, StorageType};
use events::streams::EPOCH_KEY;
use events::{Partition, StreamSpec};
use uuid::Uuid;

use super::Bus;
use crate::backoff::Backoff;

/// Whether the stream was there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// It had to be made: whatever an earlier one held is gone.
    Created,
    /// It was there, and is now as it should be.
    Existing,
}

impl Bus {
    /// Creates the stream, or brings it up to date. Waits until NATS is there, or until the
    /// shutdown begins. A change that would lose stored messages is refused with an error.
    pub async fn declare(&self, spec: &StreamSpec) -> anyhow::Result<Declared> {
        self.declare_in(spec, Partition::WHOLE).await
    }

    /// The same for the stream that `spec` stands for in a partition. An error, too, if another
    /// stream takes its subjects: that of another division.
    pub async fn declare_in(
        &self,
        spec: &StreamSpec,
        partition: Partition,
    ) -> anyhow::Result<Declared> {
        let name = spec.name_in(partition);
        let mut backoff = Backoff::default();
        loop {
            match self.try_declare(spec, partition).await {
                Ok(declared) => return Ok(declared),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Temporary(error)) => {
                    tracing::warn!(
                        stream = &*name,
                        error = format!("{error:#}"),
                        "stream not declared yet: trying again"
                    );
                }
            }
            backoff.wait(&self.shutdown).await;
            ensure!(
                !self.shutdown.is_cancelled(),
                "stopped before {name} was declared"
            );
        }
    }

    /// The identity of the stream as it is now: one that was made anew has another.
    pub async fn epoch(&self, stream: &str) -> anyhow::Result<String> {
        let stream = self.jetstream.get_stream(stream).await?;
        Ok(epoch(stream.cached_info()))
    }

    async fn try_declare(
        &self,
        spec: &StreamSpec,
        partition: Partition,
    ) -> Result<Declared, Failure> {
        let name = spec.name_in(partition);
        let existing = match self.jetstream.get_stream(&*name).await {
            Ok(stream) => stream.cached_info().clone(),
            Err(error) => {
                let missing = matches!(error.kind(), GetStreamErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND);
                if !missing {
                    return Err(Failure::Temporary(error.into()));
                }
                return self.create(spec, partition).await;
            }
        };
        let wanted = self.config(spec, partition, existing.config.metadata.clone());
        if existing.state.messages > 0 {
            loses_nothing(&existing.config, &wanted).map_err(Failure::Final)?;
        }
        if differs(&existing.config, &wanted) {
            self.jetstream
                .update_stream(&wanted)
                .await
                .with_context(|| format!("can't update the stream {name}"))
                .map_err(Failure::Temporary)?;
            tracing::info!(stream = &*name, "stream updated");
        }
        Ok(Declared::Existing)
    }

    async fn create(&self, spec: &StreamSpec, partition: Partition) -> Result<Declared, Failure> {
        let name = spec.name_in(partition);
        let metadata = HashMap::from([(EPOCH_KEY.to_owned(), Uuid::now_v7().to_string())]);
        let created = self
            .jetstream
            .create_stream(self.config(spec, partition, metadata))
            .await;
        created.map_err(|error| {
            let overlaps = matches!(error.kind(), CreateStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_SUBJECT_OVERLAP);
            let error =
                anyhow::Error::from(error).context(format!("can't create the stream {name}"));
            if overlaps {
                Failure::Final(error)
            } else {
                Failure::Temporary(error)
            }
        })?;
        tracing::info!(stream = &*name, "stream created");
        Ok(Declared::Created)
    }

    fn config(
        &self,
        spec: &StreamSpec,
        partition: Partition,
        metadata: HashMap<String, String>,
    ) -> Config {
        Config {
            name: spec.name_in(partition).into_owned(),
            description: Some(spec.description.to_owned()),
            subjects: spec.subjects_in(partition).map(Cow::into_owned).collect(),
            max_messages_per_subject: spec.max_messages_per_subject.map_or(-1, i64::from),
            max_age: spec.max_age.unwrap_or_default(),
            max_bytes: spec
                .max_bytes
                .map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            max_messages: -1,
            max_message_size: -1,
            discard: if spec.discard_new {
                DiscardPolicy::New
            } else {
                DiscardPolicy::Old
            },
            storage: StorageType::File,
            num_replicas: self.replicas,
            allow_rollup: spec.bucket,
            deny_delete: spec.bucket,
            allow_direct: spec.bucket,
            metadata,
            ..Config::default()
        }
    }
}

/// The identity of the stream that the server describes: one that was made anew has another.
pub fn epoch(info: &Info) -> String {
    let epoch = info.config.metadata.get(EPOCH_KEY);
    // A stream that somebody else made has no epoch of ours; its creation time serves.
    epoch.cloned().unwrap_or_else(|| info.created.to_string())
}

/// Whether trying again can help.
enum Failure {
    Temporary(anyhow::Error),
    Final(anyhow::Error),
}

fn differs(existing: &Config, wanted: &Config) -> bool {
    existing.description != wanted.description
        || existing.subjects != wanted.subjects
        || existing.max_messages_per_subject != wanted.max_messages_per_subject
        || existing.max_age != wanted.max_age
        || existing.max_bytes != wanted.max_bytes
        || existing.discard != wanted.discard
        || existing.num_replicas != wanted.num_replicas
        || existing.allow_rollup != wanted.allow_rollup
        || existing.deny_delete != wanted.deny_delete
        || existing.allow_direct != wanted.allow_direct
}

/// An error if the stream would forget something that it holds now.
fn loses_nothing(existing: &Config, wanted: &Config) -> anyhow::Result<()> {
    let name = &existing.name;
    let tighter = |old: i64, new: i64| new > 0 && (old <= 0 || new < old);
    let shorter = |old: Duration, new: Duration| !new.is_zero() && (old.is_zero() || new < old);
    ensure!(
        existing.storage == wanted.storage,
        "the stream {name} lies in memory; delete it when it is empty, and it is made on disk"
    );
    ensure!(
        !tighter(
            existing.max_messages_per_subject,
            wanted.max_messages_per_subject
        ) && !tighter(existing.max_bytes, wanted.max_bytes)
            && !shorter(existing.max_age, wanted.max_age),
        "the stream {name} holds messages that tighter limits would delete; \
         change its limits with the nats command if that is meant"
    );
    Ok(())
}
