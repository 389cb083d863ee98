//! The consumer: from the stream CLICKS into the database, each click exactly once.

pub mod apply;
pub mod dead;
pub mod fetch;
pub mod ledger;
mod missed;
mod outgoing;
pub mod set;
mod storing;
pub mod stream;
pub mod turns;
mod watch;

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use chassis::backoff::Backoff;
use chassis::bus::StoredMessage;
use chassis::nice::Background;
use chassis::telemetry;
use events::streams;
use metrics::{counter, gauge};
use tracing::Instrument as _;

use self::apply::Outcome;
use self::fetch::{Fetched, fetch};
use self::set::{Set, fingerprint};
use self::storing::Storing;
use self::stream::Attached;
use self::turns::{Flow, Work};
use self::watch::Watch;
use crate::state::AppState;
use crate::store::position::Position;
use crate::store::{self, counters, ledgers, position};
use crate::{partition, settling};

/// How a session with the stream ended.
enum End {
    /// The process stops.
    Shutdown,
    /// The stream is not the one that was read: find the place anew.
    Changed,
}

/// What ends a session with an error.
enum Failure {
    /// The bus; trying again helps.
    Bus(anyhow::Error),
    /// The database; going on could make it worse.
    Database(store::Error),
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Database(error)
    }
}

/// Applies clicks until the shutdown. An error if the database can't be trusted any more, or if
/// the streams can't be declared.
pub async fn run(state: AppState) -> anyhow::Result<()> {
    tracing::debug!(partition = %state.partition, "counting the clicks");
    let mut backoff = Backoff::default();
    announce(&state).await?;
    set_gauge("kurz_clicks_following", 0);
    while !state.shutdown.is_cancelled() {
        match declare(&state).await {
            Err(_) if state.shutdown.is_cancelled() => return Ok(()),
            declared => declared?,
        }
        let ended = session(&state, &mut backoff).await;
        // How much there is to apply is not known any more.
        set_gauge("kurz_clicks_following", 0);
        match ended {
            Ok(End::Shutdown) => return Ok(()),
            Ok(End::Changed) => {}
            // The database is closed once everything has ended: nothing was lost.
            Err(Failure::Database(store::Error::Closed(_))) if state.shutdown.is_cancelled() => {
                return Ok(());
            }
            Err(Failure::Database(error)) => {
                return Err(error).context("the clicks can't be stored");
            }
            Err(Failure::Bus(error)) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "the clicks can't be followed: trying again");
                backoff.wait(&state.shutdown).await;
            }
        }
    }
    Ok(())
}

async fn declare(state: &AppState) -> anyhow::Result<()> {
    partition::declare(state, &streams::CLICKS).await?;
    // The others may declare these, too: they are the same for all.
    state.bus.declare(&streams::DEAD).await?;
    state.bus.declare(&streams::SPOOLS).await?;
    Ok(())
}

/// Sets the gauges to what the database says.
pub async fn announce(state: &AppState) -> anyhow::Result<()> {
    let (missing, missed, waiting) = state
        .database
        .read(|tx| {
            let missing = ledgers::missing(tx)?;
            Ok::<_, store::Error>((missing, position::missed(tx)?, counters::waiting(tx)?))
        })
        .await?;
    settling::show(waiting);
    set_gauge("kurz_clicks_missing", missing);
    set_gauge("kurz_click_messages_missed", missed);
    Ok(())
}

/// Follows the stream from the stored position until something is wrong with it.
async fn session(state: &AppState, backoff: &mut Backoff) -> Result<End, Failure> {
    let clicks = state.clicks_stream();
    let stored = state
        .database
        .read(|tx| Ok::<_, store::Error>(position::load(tx, streams::CLICKS.name)?))
        .await?;
    let attached = stream::attach(&state.bus, &clicks, stored.as_ref())
        .await
        .map_err(Failure::Bus)?;
    // The stored position may be of a stream that is gone: only what was found again is used.
    let Attached {
        mut follow,
        epoch,
        mut place,
        mut read_up_to,
        end: stream_end,
        missed,
    } = attached;
    if missed.is_some() || place.is_some() && place != stored {
        missed.iter().for_each(missed::log);
        let missed = missed::note(state, &epoch, place.clone(), missed).await?;
        set_gauge("kurz_click_messages_missed", missed);
    }
    set_gauge("kurz_clicks_following", 1);
    let mut watch = Watch::new(&state.bus, &clicks, &epoch, follow.probe());
    if follow.backlog() == 0 {
        set_gauge("kurz_click_messages_behind", 0);
    }
    let flow = Arc::new(Flow::new());
    let background = Background::start("clicks-reader", store::COUNTING_NICE)
        .map_err(|error| Failure::Bus(anyhow::Error::new(error)))?;
    // One set is read while the one before it is stored.
    let mut storing = Storing::nothing(state, &flow, &background);
    let end = loop {
        let took = storing.took();
        let fetched = tokio::select! {
            biased;
            () = state.shutdown.cancelled() => break Ok(End::Shutdown),
            () = watch.changed(place.as_ref(), read_up_to) => break Ok(End::Changed),
            failed = storing.failed() => break Err(failed),
            fetched = fetch(&mut follow, took, &flow) => fetched,
        };
        let Fetched { messages, end } = fetched;
        let Some(last) = messages.last() else {
            break Err(Failure::Bus(
                end.unwrap_or_else(|| anyhow!("the stream said nothing")),
            ));
        };
        let behind = last.pending;
        let next = match place {
            // Read again, since the message behind which to go on was deleted. The place stays:
            // what is gone between here and there was read.
            Some(place) if last.sequence <= read_up_to => place,
            _ => Position {
                epoch: epoch.clone(),
                sequence: last.sequence,
                fingerprint: fingerprint(&last.payload, last.stored_at_ns),
            },
        };
        let skipped = missed::skipped(&mut read_up_to, &messages, stream_end);
        let span = tracing::info_span!("apply clicks", messages = messages.len());
        for message in &messages {
            telemetry::link(&span, &message.headers);
        }
        let read = read(state, &background, &flow, messages, next.clone(), skipped)
            .instrument(span.clone())
            .await;
        // In their order: this one only when the one before it is stored.
        let stored = match read {
            Ok(set) => storing.start(set, behind, span).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(Some(())) => place = Some(next),
            Ok(None) => break Ok(End::Shutdown),
            Err(error) => break Err(error),
        }
        backoff.reset();
        if let Some(error) = end {
            break Err(Failure::Bus(error));
        }
    };
    // Where to go on is read from the database.
    storing.finish().await?;
    end
}

/// Decodes messages and classifies their clicks; those that can't be read are put aside.
async fn read(
    state: &AppState,
    background: &Background,
    flow: &Arc<Flow>,
    messages: Vec<StoredMessage>,
    position: Position,
    missed: Vec<(u64, u64)>,
) -> Result<Set, Failure> {
    missed.iter().for_each(missed::log);
    let (rules, partition, flow) = (state.rules.clone(), state.partition, flow.clone());
    // Decoding 100,000 clicks takes tens of milliseconds: not on a thread that answers requests.
    let decoded = background
        .run(move || set::read_all(messages, &rules, partition, &mut flow.turns(Work::Read)));
    let (readable, unreadable) = decoded
        .await
        .ok_or_else(|| Failure::Bus(anyhow!("reading the clicks panicked")))?;
    let clicks = state.clicks_stream();
    for (message, reason) in &unreadable {
        dead::bury(&state.bus, &clicks, &position.epoch, message, reason)
            .await
            .map_err(Failure::Bus)?;
    }
    Ok(Set {
        messages: readable,
        position,
        missed,
    })
}

/// Puts what became of clicks into the metrics and the log, and wakes the feed's writer.
pub fn report(state: &AppState, outcome: &Outcome) {
    if outcome.feed.messages > 0 {
        state.feed.wake();
    }
    if let Some(waiting) = outcome.waiting {
        state.settling.waits(waiting);
    }
    counter!("kurz_clicks_applied_total").increment(outcome.applied);
    counter!("kurz_clicks_duplicate_total").increment(outcome.duplicates);
    counter!("kurz_clicks_of_closed_accounts_total").increment(outcome.dropped);
    counter!("kurz_feed_dropped_total").increment(outcome.feed.dropped);
    if let Some(missing) = outcome.missing {
        set_gauge("kurz_clicks_missing", missing);
        if missing > 0 {
            tracing::error!(
                missing,
                "clicks are missing: their numbers are kept as gaps"
            );
        } else {
            tracing::info!("no clicks are missing any more");
        }
    }
    if let Some(missed) = outcome.missed {
        set_gauge("kurz_click_messages_missed", missed);
    }
}

fn set_gauge(name: &'static str, value: u64) {
    // Exact up to 2^53, which is far beyond what is counted here.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    gauge!(name).set(value as f64);
}
