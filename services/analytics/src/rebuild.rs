//! Counts everything again, beside the database that is in use, and takes over what came out.
//!
//! A fresh database replays the stream while the service goes on counting. When it has caught up,
//! the counting stands still for a moment: both databases are compared at the same position, and,
//! if the differences are accepted, the fresh counters take the place of the others in one
//! transaction. Nothing is published again. See `docs/exactly-once.md`.

mod base;
mod fresh;
mod output;
mod replay;
mod table;

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use events::streams;
use serde::Deserialize;

use crate::ingest;
use crate::settling::settle_all;
use crate::state::AppState;
use crate::store::compare::{self, Comparison};
use crate::store::position::{self, Position};
use crate::store::{self, take_over};

pub use fresh::clean_up;
pub use output::{Output, channel};

use base::Base;
use fresh::Fresh;
use replay::Replay;

/// How long a sweep may take before a rebuild says that it is in the way.
const PATIENCE: Duration = Duration::from_secs(10);

/// Messages that may be left to replay while the counting stands still: those of one transaction.
const CLOSE: u64 = 1_000;

/// What was asked for.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Whether differences are taken over.
    #[serde(default)]
    accept: bool,
    /// Whether to begin with the newest backup that joins the stream: quickest, and least checked.
    #[serde(default)]
    newest: bool,
}

/// Rebuilds. An error says why nothing was taken over: it could not be, or there are differences
/// that were not accepted.
pub async fn rebuild(state: &AppState, options: Options, output: &Output) -> anyhow::Result<()> {
    let _upkeep = tokio::time::timeout(PATIENCE, state.upkeep.lock())
        .await
        .context(
            "another rebuild, or a sweep of old clicks, is at work: wait until it has ended",
        )?;
    let counted = counted(state).await?;
    let base = Base::find(state, &counted, options.newest).await?;
    output.line(&format!("counting again {base}")).await?;
    let fresh = Fresh::open(state, &base).await?;
    let result = count_and_take_over(state, &base, counted, &fresh, options.accept, output).await;
    fresh.discard().await;
    result
}

async fn count_and_take_over(
    state: &AppState,
    base: &Base,
    mut position: Position,
    fresh: &Fresh,
    accept: bool,
    output: &Output,
) -> anyhow::Result<()> {
    let mut replay = Replay::begin(state, fresh.database(), base, &position).await?;
    loop {
        replay.go_to(&position, output).await?;
        let reached = position.sequence;
        position = counted(state).await?;
        if position.sequence <= reached + CLOSE {
            break;
        }
    }
    // Most of what is to be compared on pages, so that there is little left for the moment behind.
    settle_all(&state.database).await?;
    settle_all(fresh.database()).await?;
    // From here on nothing is counted until this ends.
    let applying = state.applying.lock().await;
    replay.go_to(&counted(state).await?, output).await?;
    output.line(&replay.summary()).await?;
    fresh.inherit(&state.database).await?;
    let fresh = fresh.database();
    settle_all(&state.database).await?;
    settle_all(fresh).await?;
    let compared = state
        .database
        .read_beside(fresh, |tx| Ok::<_, store::Error>(compare::compare(tx)?));
    let compared = compared.await.context("the databases can't be compared")?;
    output.text(table::render(&compared)).await?;
    judge(&compared, accept)?;
    if compared.is_equal() {
        return output.line("nothing to take over: both are equal").await;
    }
    let taken = state
        .database
        .write_beside(fresh, |tx| Ok::<_, store::Error>(take_over::take_over(tx)?));
    taken
        .await
        .context("the counters can't be taken over: they are as they were")?;
    drop(applying);
    tracing::warn!("the counters were rebuilt from the stream");
    // What is done is done, whether the rest works or not.
    if let Err(error) = ingest::announce(state).await {
        tracing::warn!(%error, "the gauges are of before the rebuild");
    }
    let _ = output.line("taken over").await;
    Ok(())
}

/// Whether the fresh counters may take the place of the others.
fn judge(compared: &Comparison, accept: bool) -> anyhow::Result<()> {
    let lost = compared.numbers_lost;
    ensure!(
        lost == 0,
        "refused: {lost} clicks that are counted now can't be counted again, since neither the \
         stream nor the base holds them; nothing was changed"
    );
    if !compared.is_equal() && !accept {
        bail!(
            "the numbers differ, and nothing was changed: to take the rebuilt ones over, run \
             `rebuild --accept`"
        );
    }
    Ok(())
}

/// How far the service has counted the stream.
async fn counted(state: &AppState) -> anyhow::Result<Position> {
    ensure!(!state.shutdown.is_cancelled(), "the service stops");
    let name = streams::CLICKS.name;
    let position = state
        .database
        .read(move |tx| Ok::<_, store::Error>(position::load(tx, name)?))
        .await?;
    position.context("nothing was counted yet: there is nothing to rebuild")
}
