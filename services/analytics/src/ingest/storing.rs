//! The set that is being stored, while the next one is read.

use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::Backoff;
use chassis::nice::Background;
use events::streams;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::apply::{Outcome, apply};
use super::set::Set;
use super::turns::{Flow, Work};
use super::{Failure, report, set_gauge};
use crate::live::{Hub, LiveClick};
use crate::state::AppState;
use crate::store::{self, Remedy};

/// How often a disk that misbehaves is tried again before the process ends.
const DISK_TRIES: u32 = 5;

/// The set that is being stored.
pub(super) struct Storing<'a> {
    state: &'a AppState,
    flow: &'a Arc<Flow>,
    /// Frees the sets.
    background: &'a Background,
    /// None if nothing is.
    task: Option<JoinHandle<Result<Option<Duration>, Failure>>>,
    took: Duration,
}

impl<'a> Storing<'a> {
    pub(super) fn nothing(
        state: &'a AppState,
        flow: &'a Arc<Flow>,
        background: &'a Background,
    ) -> Self {
        Self {
            state,
            flow,
            background,
            task: None,
            took: Duration::ZERO,
        }
    }

    /// How long the last one took that is finished.
    pub(super) fn took(&self) -> Duration {
        self.took
    }

    /// Begins to store a set, behind which the stream has so many messages, once the one before it
    /// is stored; none if the shutdown began before that.
    pub(super) async fn start(
        &mut self,
        set: Set,
        behind: u64,
        span: tracing::Span,
    ) -> Result<Option<()>, Failure> {
        if self.finish().await?.is_none() {
            return Ok(None);
        }
        let (state, flow) = (self.state.clone(), self.flow.clone());
        let background = self.background.clone();
        let storing = async move {
            let started = Instant::now();
            let set = Arc::new(set);
            let stored = take_in(&state, &set, flow.clone()).await?;
            // Nobody else has it any more.
            if let Some(set) = Arc::into_inner(set) {
                background.later(move || set.free(&mut flow.turns(Work::Read)));
            }
            if stored.is_some() {
                set_gauge("kurz_click_messages_behind", behind);
            }
            Ok(stored.map(|()| started.elapsed()))
        };
        self.task = Some(tokio::spawn(storing.instrument(span)));
        Ok(Some(()))
    }

    /// Waits until nothing is being stored; none if the shutdown began before it was.
    pub(super) async fn finish(&mut self) -> Result<Option<()>, Failure> {
        let Some(task) = &mut self.task else {
            return Ok(Some(()));
        };
        let ended = task.await;
        self.task = None;
        let took = ended.map_err(|error| Failure::Bus(anyhow::Error::new(error)))??;
        self.took = took.unwrap_or(self.took);
        Ok(took.map(drop))
    }

    /// Returns when a set could not be stored, else never. Nothing is lost when it is dropped.
    pub(super) async fn failed(&mut self) -> Failure {
        match self.finish().await {
            Err(failure) => failure,
            Ok(_) => std::future::pending().await,
        }
    }
}

/// Applies a set; none if the shutdown began before it could be.
async fn take_in(state: &AppState, set: &Arc<Set>, flow: Arc<Flow>) -> Result<Option<()>, Failure> {
    // A rebuild that has caught up holds this while it compares and takes over.
    let applying = state.applying.lock().await;
    let stored = store(state, set, flow).await?;
    drop(applying);
    let Some(outcome) = stored else {
        return Ok(None);
    };
    report(state, &outcome);
    // Asked after the commit: whoever watches now and read the position before the commit must get
    // these clicks, or they would fall between what is replayed and what is live.
    if state.live.is_watched() {
        show(&state.live, set, &outcome.counted);
    } else {
        state.live.pass_over(set.position.sequence);
    }
    Ok(Some(()))
}

/// Hands the counted clicks to those who watch.
fn show(hub: &Hub, set: &Set, counted: &[(usize, usize)]) {
    for &(at, index) in counted {
        let message = &set.messages[at];
        let Some(counted) = message.clicks.as_ref().and_then(|clicks| clicks.get(index)) else {
            continue;
        };
        hub.publish(LiveClick {
            sequence: message.sequence,
            index: u32::try_from(index).unwrap_or(u32::MAX),
            kind: counted.kind,
            agent: counted.agent.clone(),
            click: Arc::new(counted.click.clone()),
        });
    }
}

/// Stores a set, however long a full disk takes; none if the shutdown began before.
async fn store(
    state: &AppState,
    set: &Arc<Set>,
    flow: Arc<Flow>,
) -> Result<Option<Outcome>, store::Error> {
    let mut backoff = Backoff::default();
    let mut tries = 0;
    loop {
        let (set, flow) = (set.clone(), flow.clone());
        let now_ms = state.clock.now_ms();
        let applying = state.database.write_alone(move |tx| {
            apply(
                tx,
                streams::CLICKS.name,
                &set,
                now_ms,
                &mut flow.turns(Work::Store),
            )
        });
        let error = match applying.await {
            Ok(outcome) => return Ok(Some(outcome)),
            Err(_) if state.shutdown.is_cancelled() => return Ok(None),
            Err(error) => error,
        };
        tries += 1;
        match error.remedy() {
            Remedy::Wait => {}
            Remedy::WaitBriefly if tries < DISK_TRIES => {}
            Remedy::WaitBriefly | Remedy::Stop => return Err(error),
        }
        tracing::error!(%error, tries, "the clicks can't be stored: trying again");
        backoff.wait(&state.shutdown).await;
        if state.shutdown.is_cancelled() {
            return Ok(None);
        }
    }
}
