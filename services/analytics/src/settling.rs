//! Brings the clicks that wait in the buffer of the counters to the pages of their links when it is
//! quiet: until then, accounts do not know how many of their visitors are new.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::backoff::Backoff;
use chassis::sqlite::Database;
use metrics::gauge;
use tokio::sync::Notify;

use crate::ingest::turns::Turns;
use crate::state::AppState;
use crate::store::{self, counters};

/// It is quiet when nothing has come to wait for so long; while clicks keep coming, sets of them
/// follow each other within four seconds.
const QUIET: Duration = Duration::from_secs(30);

/// Clicks that one transaction brings to their pages, which takes some tens of milliseconds.
const PIECE: u64 = 8_192;

/// Told of clicks that wait. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Settling {
    came: Arc<Notify>,
}

impl Settling {
    /// So many clicks wait now.
    pub fn waits(&self, clicks: u64) {
        show(clicks);
        self.came.notify_one();
    }
}

/// Settles until the shutdown; at first what an earlier run left.
pub async fn run(state: AppState) -> anyhow::Result<()> {
    let mut backoff = Backoff::default();
    let mut pause = QUIET;
    loop {
        tokio::select! {
            biased;
            () = state.shutdown.cancelled() => return Ok(()),
            () = state.settling.came.notified() => {
                pause = QUIET;
                continue;
            }
            () = tokio::time::sleep(pause) => {}
        }
        let started = Instant::now();
        let settled = settle_some(&state.database).await;
        if let Ok(left) = settled {
            show(left);
        }
        match settled {
            Ok(0) => {
                backoff.reset();
                pause = QUIET;
                tokio::select! {
                    () = state.shutdown.cancelled() => return Ok(()),
                    () = state.settling.came.notified() => {}
                }
            }
            // Others may write for as long as this took.
            Ok(_) => pause = started.elapsed(),
            Err(_) if state.shutdown.is_cancelled() => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "clicks stay in the buffer: trying again");
                backoff.wait(&state.shutdown).await;
            }
        }
    }
}

/// Brings everything to the pages.
pub async fn settle_all(database: &Database) -> Result<(), store::Error> {
    while settle_some(database).await? > 0 {}
    Ok(())
}

/// Brings some clicks to their pages; how many wait still.
async fn settle_some(database: &Database) -> Result<u64, store::Error> {
    let settle = database.write_alone(|tx| {
        let left = counters::settle(tx, PIECE, &mut Turns::without_rest())?;
        Ok::<_, store::Error>(left)
    });
    settle.await
}

/// Says how many clicks wait.
pub fn show(clicks: u64) {
    // Exact up to 2^53, which is far beyond what waits.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    gauge!("kurz_clicks_buffered").set(clicks as f64);
}
