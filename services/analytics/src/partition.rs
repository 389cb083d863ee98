//! This process's part of the accounts, and the guards that keep the parts apart.

use std::borrow::Cow;

use anyhow::{bail, ensure};
use async_nats::jetstream::context::CreateStreamError;
use chassis::backoff::Backoff;
use chassis::sqlite::Database;
use events::{Partition, StreamSpec, streams};
use futures_util::TryStreamExt as _;

use crate::state::AppState;
use crate::store::{self, partition};

impl AppState {
    /// The name of the stream CLICKS of this partition.
    pub fn clicks_stream(&self) -> Cow<'static, str> {
        streams::CLICKS.name_in(self.partition)
    }

    /// The name of the stream FEED of this partition.
    pub fn feed_stream(&self) -> Cow<'static, str> {
        streams::FEED.name_in(self.partition)
    }
}

/// Makes a new database this partition's. An error if it is another one's.
pub async fn claim(database: &Database, partition: Partition) -> anyhow::Result<()> {
    let (number, of) = (partition.number(), partition.of());
    let owner = database
        .write(move |tx| Ok::<_, store::Error>(partition::claim(tx, number, of)?))
        .await?;
    ensure!(
        owner == (number, of),
        "the database {} is of partition {} of {}, and the settings say {partition}: set \
         KURZ_PARTITION and KURZ_PARTITIONS to what it was counted with",
        database.path().display(),
        owner.0,
        owner.1
    );
    Ok(())
}

/// Declares a stream of this partition; waits for NATS. An error if there are streams of another
/// division: the same clicks would be counted in two places, and others nowhere.
pub async fn declare(state: &AppState, spec: &StreamSpec) -> anyhow::Result<()> {
    // Alone, a stream takes every subject: the server itself refuses it beside any other.
    if state.partition.is_one_of_many() {
        refuse_others(state, spec).await?;
    }
    let declared = state.bus.declare_in(spec, state.partition).await;
    declared.map(|_| ()).map_err(|error| {
        if error.is::<CreateStreamError>() {
            error.context(refusal(state.partition, "its subjects are taken"))
        } else {
            error
        }
    })
}

async fn refuse_others(state: &AppState, spec: &StreamSpec) -> anyhow::Result<()> {
    let own = spec.names(state.partition.of());
    let mut others = streams(state).await?;
    others.retain(|name| name.starts_with(spec.name) && own.iter().all(|own| own != name));
    if !others.is_empty() {
        bail!(refusal(state.partition, &others.join(", ")));
    }
    Ok(())
}

fn refusal(partition: Partition, why: &str) -> String {
    format!(
        "the streams are of another division, and the settings say partition {partition} ({why}): \
         set KURZ_PARTITIONS as it was; docs/operations.md says how it is changed"
    )
}

/// The names of all streams, once NATS says them.
async fn streams(state: &AppState) -> anyhow::Result<Vec<String>> {
    let mut backoff = Backoff::default();
    loop {
        let names = state.bus.jetstream().stream_names().try_collect().await;
        let error = match names {
            Ok(names) => return Ok(names),
            Err(error) => error.to_string(),
        };
        tracing::warn!(error, "the streams can't be listed yet: trying again");
        backoff.wait(&state.shutdown).await;
        ensure!(
            !state.shutdown.is_cancelled(),
            "stopped before NATS was there"
        );
    }
}
