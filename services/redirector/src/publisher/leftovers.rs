//! Publishes what earlier processes left, under their spools' own identities, and retires it.

use std::io;
use std::sync::atomic::Ordering;

use chassis::bus::Bus;

use super::courier::Courier;
use super::{Pauses, Standings};
use crate::recorder::{MAX_BATCH, Meters};
use crate::spool::{Chapter, Leftover};

/// Publishes all of them, one after the other, oldest first.
pub(super) async fn publish(
    leftovers: Vec<Leftover>,
    bus: &Bus,
    meters: &Meters,
    standings: &Standings,
) {
    for leftover in leftovers {
        let spool = leftover.spool;
        match publish_one(leftover, bus, meters, standings).await {
            Ok(clicks) => {
                standings.retire(spool);
                tracing::info!(%spool, clicks, "an earlier spool is published");
            }
            // Its files stay for the next start.
            Err(error) => tracing::error!(%spool, %error, "an earlier spool can't be read"),
        }
        meters.leftover.store(0, Ordering::Relaxed);
    }
}

/// How many clicks were sent.
async fn publish_one(
    mut leftover: Leftover,
    bus: &Bus,
    meters: &Meters,
    standings: &Standings,
) -> io::Result<u64> {
    let mut clicks = 0;
    if let Some(partition) = leftover.partition() {
        let mut courier = Courier::of_leftover(bus.clone(), partition, leftover.spool);
        loop {
            let chapter;
            (leftover, chapter) = blocking(move || {
                let chapter = leftover.read();
                (leftover, chapter)
            })
            .await;
            let Some(chapter) = chapter? else { break };
            tell(&leftover, &chapter, courier.position());
            let (spool, end) = (leftover.spool, chapter.next());
            let acknowledge = |next| standings.set(spool, partition, end, next);
            acknowledge(courier.position());
            clicks += publish_chapter(&chapter, &mut courier, meters, &acknowledge).await;
            leftover = blocking(move || {
                leftover.delete_first();
                leftover
            })
            .await;
        }
    }
    blocking(move || leftover.retire()).await;
    Ok(clicks)
}

/// Sends what the stream does not have of one segment; how many clicks those were.
async fn publish_chapter(
    chapter: &Chapter,
    courier: &mut Courier,
    meters: &Meters,
    acknowledge: &(impl Fn(u64) + Sync),
) -> u64 {
    let mut pauses = Pauses::new();
    let mut clicks = 0;
    loop {
        if courier.is_in_doubt()
            && let Err(error) = courier.find_place(None).await
        {
            pauses.wait(&error).await;
            continue;
        }
        courier.skip_to(chapter.first);
        acknowledge(courier.position());
        let pending = chapter.next().saturating_sub(courier.position());
        meters.leftover.store(pending, Ordering::Relaxed);
        let Some(batch) = chapter.batch(courier.position(), MAX_BATCH) else {
            return clicks;
        };
        meters.batches.increment(1);
        meters.published.increment(batch.len() as u64);
        match courier.send(&batch, None).await {
            Ok(()) => {
                pauses.reset();
                clicks += batch.len() as u64;
                meters.acknowledged.increment(batch.len() as u64);
            }
            Err(error) => pauses.wait(&error).await,
        }
    }
}

/// Does what the disk takes its time for, off the runtime's threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("reading or deleting a segment does not panic")
}

/// What is lost is said, here and by the gap that analytics finds.
fn tell(leftover: &Leftover, chapter: &Chapter, position: u64) {
    let spool = leftover.spool;
    if chapter.torn > 0 {
        tracing::warn!(
            %spool, from = chapter.next(), bytes = chapter.torn,
            "an earlier spool has a torn end: what is behind it can't be read"
        );
    }
    if position > 0 && chapter.first > position {
        tracing::error!(
            %spool, from = position, to = chapter.first,
            "an earlier spool has lost clicks in its middle"
        );
    }
}
