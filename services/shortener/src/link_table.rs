//! The link table: the KV bucket `links`, which redirectors copy. The relay keeps it equal to the
//! database; here is what proves that, and restores it if it is not so.

mod bucket;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::Backoff;
use chassis::bus::Bus;
use chassis::outbox::Relay;
use chassis::shutdown::Shutdown;
use events::streams::LINKS;
use tokio::sync::Mutex;

use crate::measures;
use crate::store::{Difference, OutboxRow, Store, record};
use bucket::{Bucket, State};

/// How often the state of the stream is looked at: a lost bucket is a service that is down, and
/// the look is one small request.
const CHECK_EVERY: Duration = Duration::from_secs(30);

/// How long a comparison waits until what is under way has arrived. The relay sends thousands a
/// second; what takes longer than this is an outage, and the comparison is tried again later.
const SETTLE: Duration = Duration::from_mins(1);

/// Keeps the link table equal to the database.
#[derive(Clone)]
pub struct LinkTable {
    bus: Bus,
    store: Store,
    relay: Relay,
    /// What the stream looked like when it was last seen equal. Held while comparing, so that
    /// there is one comparison at a time.
    seen: Arc<Mutex<Option<State>>>,
}

/// What a comparison found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Links in the database.
    pub links: u64,
    /// Values in the bucket.
    pub values: u64,
    /// Values that were missing or different, and were written.
    pub written: u64,
    /// Values without a link, removed.
    pub removed: u64,
}

impl LinkTable {
    /// The table that is fed from `store` through `relay`.
    pub fn new(bus: Bus, store: Store, relay: Relay) -> Self {
        Self {
            bus,
            store,
            relay,
            seen: Arc::default(),
        }
    }

    /// Whether NATS is there now.
    pub fn is_reachable(&self) -> bool {
        self.bus.is_connected()
    }

    /// Compares every value with the database, and writes what differs through the outbox.
    /// Creates the bucket if it is not there. Waits for NATS.
    pub async fn resync(&self) -> anyhow::Result<Report> {
        let mut seen = self.seen.lock().await;
        self.bus.declare(&LINKS).await?;
        self.settle(self.store.newest_unsent().await?).await?;
        let bucket = Bucket::read(&self.bus).await?;
        let values = bucket.len();
        let (links, differences) = self.compare(bucket).await?;
        let repair = self.store.repair(differences).await?;
        self.settle(repair.last).await?;
        *seen = Some(State::of(&self.bus).await?);
        measures::repaired(repair.written + repair.removed);
        Ok(Report {
            links,
            values,
            written: repair.written,
            removed: repair.removed,
        })
    }

    /// The worker: compares at the start, and again whenever the stream looks as if something
    /// was lost.
    pub async fn keep(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(Duration::from_millis(200), CHECK_EVERY);
        while !shutdown.is_cancelled() {
            let resync = tokio::select! {
                result = self.resync() => result,
                () = shutdown.cancelled() => return Ok(()),
            };
            match resync {
                Ok(report) => tracing::info!(%report, "link table compared"),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "link table not compared: trying again");
                    backoff.wait(&shutdown).await;
                    continue;
                }
            }
            backoff.reset();
            self.watch(&shutdown).await;
        }
        Ok(())
    }

    /// Returns when the stream looks damaged, or the shutdown begins.
    async fn watch(&self, shutdown: &Shutdown) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(CHECK_EVERY) => {}
                () = shutdown.cancelled() => return,
            }
            match self.looks_whole().await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!("the link table lost something, or was made anew: comparing");
                    return;
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "link table not looked at");
                }
            }
        }
    }

    /// Whether the stream is the one that was last seen equal and has lost nothing since. Cheap:
    /// it does not read the values.
    async fn looks_whole(&self) -> anyhow::Result<bool> {
        let mut seen = self.seen.lock().await;
        // Once everything was sent, each link has a value; before that nothing can be said.
        let links = self.store.count_if_all_sent().await?.unwrap_or(0);
        let Some(now) = State::find(&self.bus).await? else {
            return Ok(false);
        };
        let continues = seen.as_ref().is_some_and(|before| now.continues(before));
        let whole = continues && now.messages >= links;
        if whole {
            *seen = Some(now);
        }
        Ok(whole)
    }

    /// Waits until the stream has stored this row of the outbox.
    async fn settle(&self, row: Option<OutboxRow>) -> anyhow::Result<()> {
        let Some(row) = row else { return Ok(()) };
        anyhow::ensure!(
            self.relay.sent(row, SETTLE).await,
            "the outbox was not sent within {SETTLE:?}"
        );
        Ok(())
    }

    /// How many links there are, and where the bucket differs from them.
    async fn compare(&self, mut bucket: Bucket) -> anyhow::Result<(u64, Vec<Difference>)> {
        let mut differences = Vec::new();
        let mut count = 0;
        let mut after = String::new();
        loop {
            let links = self.store.links_after(after.clone()).await?;
            let Some(last) = links.last() else { break };
            last.code.as_str().clone_into(&mut after);
            count += links.len() as u64;
            differences.extend(links.iter().filter_map(|link| bucket.take(&record(link))));
        }
        differences.extend(bucket.rest());
        Ok((count, differences))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            links,
            values,
            written,
            removed,
        } = self;
        write!(
            f,
            "{links} links, {values} values; {written} written, {removed} removed"
        )
    }
}
