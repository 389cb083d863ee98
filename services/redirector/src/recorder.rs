//! Where a redirect leaves its click, and how safe the click is when the visitor gets the answer.

mod config;
mod lane;
mod meters;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chassis::bus::Bus;
use chassis::service::Context;
use events::{ClickRef, Partition};
use uuid::Uuid;

use crate::publisher;
use crate::spool::{Budget, Folder, Leftover, SMALLEST_SPOOL, Spool};

pub use config::{Durability, RecorderConfig, SyncPolicy};
pub(crate) use lane::{Lane, MAX_BATCH};
pub(crate) use meters::Meters;

/// How long a visitor waits for the stream's acknowledgement at the level `ack`: some thousand
/// times what it takes in good times, and less than what a visitor takes for a broken link.
const ACK_LIMIT: Duration = Duration::from_secs(1);

/// How long a visitor waits for the disk with `KURZ_SPOOL_SYNC=each`.
const SYNC_LIMIT: Duration = Duration::from_secs(1);

/// Records clicks; a clone is a handle to the same spools.
#[derive(Debug, Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// One for each partition.
    lanes: Vec<Arc<Lane>>,
    partitions: u32,
    durability: Durability,
    sync: SyncPolicy,
    bus: Bus,
    meters: Meters,
}

impl Recorder {
    /// Opens a new spool for each partition and starts to publish them, and what earlier processes
    /// left in the folder.
    pub async fn open(config: RecorderConfig, context: &Context) -> anyhow::Result<Self> {
        let least = SMALLEST_SPOOL * u64::from(config.partitions);
        ensure!(
            (1..=Partition::MOST).contains(&config.partitions),
            "there are 1 to {} partitions of clicks",
            Partition::MOST
        );
        ensure!(
            config.bytes >= least,
            "the spool needs at least {least} bytes for {} partitions, and may have {}",
            config.partitions,
            config.bytes
        );
        let meters = Meters::new();
        let budget = Budget::new(config.bytes);
        let open = {
            let (config, budget) = (config.clone(), budget.clone());
            move || open_spools(&config, &budget)
        };
        let (spools, leftovers) = tokio::task::spawn_blocking(open).await??;
        if !leftovers.is_empty() {
            tracing::info!(
                spools = leftovers.len(),
                "earlier spools are published first"
            );
        }
        let sync = config.effective_sync();
        let lanes: Vec<_> = spools
            .into_iter()
            .map(|spool| Arc::new(Lane::new(spool, meters.clone())))
            .collect();
        publisher::start(&lanes, leftovers, &config, context);
        lane::start_sync(&lanes, sync, context);
        meters::start_gauges(&lanes, budget, context);
        let inner = Inner {
            lanes,
            partitions: config.partitions,
            durability: config.durability,
            sync,
            bus: context.bus.clone(),
            meters,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Records a click. When this returns, the click is in the spool: it survives the death of the
    /// process, unless the level is `memory`. One that can't be kept is counted and logged, and the
    /// visitor is redirected all the same.
    pub fn record<'a>(&self, click: impl Into<ClickRef<'a>>) -> Receipt {
        thread_local! {
            static ENCODED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let (inner, click) = (&*self.inner, click.into());
        let lane = &inner.lanes[inner.lane_of(click.owner_id)];
        let number = ENCODED.with_borrow_mut(|encoded| {
            encoded.clear();
            events::click::encode(click, encoded);
            lane.append(encoded)
        });
        let promise = match (number, inner.durability, inner.sync) {
            (Some(number), Durability::Ack, _) => Promise::Acknowledged(number),
            (Some(number), _, SyncPolicy::Each) => Promise::Synced(number),
            _ => return Receipt::nothing(),
        };
        Receipt {
            pending: Some((Arc::clone(&self.inner), Arc::clone(lane), promise)),
        }
    }
}

impl Inner {
    async fn wait_for_sync(&self, lane: &Lane, number: u64) {
        if tokio::time::timeout(SYNC_LIMIT, lane.synced(number))
            .await
            .is_err()
        {
            self.meters.sync_failures.increment(1);
        }
    }

    /// All clicks of one account are in one partition, on every redirector.
    fn lane_of(&self, owner_id: Uuid) -> usize {
        Partition::of_account(owner_id, self.partitions).number() as usize
    }
}

/// What is still to wait for before a visitor may be answered.
#[derive(Debug)]
#[must_use = "the level `ack` answers only when the click is settled"]
pub struct Receipt {
    pending: Option<(Arc<Inner>, Arc<Lane>, Promise)>,
}

#[derive(Debug, Clone, Copy)]
enum Promise {
    Acknowledged(u64),
    Synced(u64),
}

impl Receipt {
    /// There is nothing to wait for.
    pub(crate) fn nothing() -> Self {
        Self { pending: None }
    }

    /// Whether there is nothing to wait for.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_none()
    }

    /// Waits for what the settings promise beyond the spool: the stream's acknowledgement at the
    /// level `ack`, the disk with `KURZ_SPOOL_SYNC=each`. Otherwise returns at once. Never waits
    /// long: the click is in the spool anyway, and the fallback is counted.
    pub async fn settled(self) {
        let Some((inner, lane, promise)) = self.pending else {
            return;
        };
        match promise {
            Promise::Acknowledged(number) => {
                let kept = inner.bus.is_connected()
                    && tokio::time::timeout(ACK_LIMIT, lane.acknowledged(number))
                        .await
                        .is_ok();
                if !kept {
                    inner.meters.ack_fallbacks.increment(1);
                    // What falls back to the spool is as safe there as the spool's setting says.
                    if inner.sync == SyncPolicy::Each {
                        inner.wait_for_sync(&lane, number).await;
                    }
                }
            }
            Promise::Synced(number) => inner.wait_for_sync(&lane, number).await,
        }
    }
}

/// Locks the folder, lists what is in it, and opens a new spool for each partition.
fn open_spools(
    config: &RecorderConfig,
    budget: &Budget,
) -> anyhow::Result<(Vec<Spool>, Vec<Leftover>)> {
    let in_memory = config.durability == Durability::Memory;
    // At the level `memory` a folder is used only if an earlier run left one.
    let folder = if in_memory && !config.folder.is_dir() {
        None
    } else {
        Some(Folder::open(&config.folder)?)
    };
    let leftovers = match &folder {
        Some(folder) => Leftover::find(folder, budget)
            .with_context(|| format!("can't read the spool folder {}", folder.path().display()))?,
        None => Vec::new(),
    };
    let spools = Partition::all(config.partitions)
        .map(|partition| {
            let folder = folder.clone().filter(|_| !in_memory);
            let bytes = config.bytes / u64::from(config.partitions);
            Spool::open(partition, folder, budget.clone(), bytes)
        })
        .collect::<Result<_, _>>()
        .with_context(|| format!("can't make a spool in {}", config.folder.display()))?;
    Ok((spools, leftovers))
}
