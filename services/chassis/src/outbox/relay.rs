use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream;
use async_nats::jetstream::context::{ContextBuilder, PublishAckFuture};
use bytes::Bytes;
use futures_util::FutureExt as _;
use rusqlite::params;
use tokio::sync::{Notify, mpsc, watch};

use super::progress::Progress;
use crate::backoff::Backoff;
use crate::bus::Bus;
use crate::shutdown::Shutdown;
use crate::sqlite::{Closed, Database};

/// How many messages are on their way at the same time: the server stores a hundred thousand a
/// second if nobody waits for each.
const WINDOW: usize = 4_096;

/// How many rows are read at once.
const ROWS: u32 = 512;

/// How long to wait for new rows before looking again, should a wake-up have been missed.
const IDLE: Duration = Duration::from_secs(1);

/// How long the stream may take to confirm a message.
const CONFIRMATION: Duration = Duration::from_secs(5);

/// How long rows that are stored wait for others, to be deleted together: a deletion is a commit
/// that changes would have to wait for.
const DELETE_EVERY: Duration = Duration::from_millis(50);

/// How many rows one write deletes at most, which bounds how long others wait for it.
const DELETED: i64 = 2_048;

/// Sends what stands in the outbox. Clones share it.
#[derive(Debug, Clone)]
pub struct Relay {
    wake: Arc<Notify>,
    progress: Arc<Progress>,
}

struct Row {
    id: i64,
    subject: String,
    payload: Option<Vec<u8>>,
    traceparent: Option<String>,
}

impl Relay {
    /// Starts the worker that sends; it sends what it can until the shutdown begins.
    pub fn start(database: Database, bus: &Bus, shutdown: &Shutdown) -> Self {
        // Its own, since what a failure leaves behind is waited for in the background, and must not
        // keep the next attempt from publishing.
        let jetstream = ContextBuilder::new()
            .timeout(CONFIRMATION)
            .ack_timeout(CONFIRMATION)
            .max_ack_inflight(2 * WINDOW)
            .build(bus.client().clone());
        let relay = Self {
            wake: Arc::new(Notify::new()),
            progress: Arc::default(),
        };
        let name = database.path().file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let worker = Worker {
            depth: metrics::gauge!("kurz_outbox_depth", "database" => name),
            newest: AtomicI64::new(0),
            database,
            jetstream,
            relay: relay.clone(),
            shutdown: shutdown.clone(),
        };
        shutdown.spawn("outbox relay", worker.run());
        relay
    }

    /// Waits until the stream has stored the message in row `id`, at most `limit`; whether it has.
    pub async fn sent(&self, id: i64, limit: Duration) -> bool {
        self.wake.notify_one();
        tokio::time::timeout(limit, self.progress.reach(id))
            .await
            .is_ok()
    }

    /// Tells the relay that there is something to send, without waiting for it.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}

struct Worker {
    database: Database,
    jetstream: jetstream::Context,
    relay: Relay,
    shutdown: Shutdown,
    depth: metrics::Gauge,
    /// The newest row that was seen.
    newest: AtomicI64,
}

impl Worker {
    async fn run(self) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        loop {
            let before = self.relay.progress.stored();
            let Err(error) = self.relay().await else {
                return Ok(());
            };
            let stored = self.relay.progress.stored();
            let waiting = self.show_depth();
            tracing::warn!(error = format!("{error:#}"), waiting, "outbox not sent yet");
            if self.shutdown.is_cancelled() {
                // It stays in the database, and is sent after the next start.
                return Ok(());
            }
            if stored > before {
                backoff.reset();
            }
            backoff.wait(&self.shutdown).await;
        }
    }

    /// Sends, confirms and deletes, each while the others go on: until no more can come, or until
    /// the first failure, behind which everything is to be sent again.
    async fn relay(&self) -> anyhow::Result<()> {
        let (published, confirmations) = mpsc::channel(WINDOW);
        let (stored, deletable) = watch::channel(());
        if self.relay.progress.stored() > 0 {
            stored.send_replace(());
        }
        tokio::try_join!(
            self.publish(published),
            self.confirm(confirmations, stored),
            self.delete(deletable),
        )?;
        Ok(())
    }

    /// Publishes all rows behind the last that was stored, in their order.
    async fn publish(
        &self,
        published: mpsc::Sender<(i64, PublishAckFuture)>,
    ) -> anyhow::Result<()> {
        let mut behind = self.relay.progress.stored();
        // Rows are added until the last request was answered; one more round sends those too.
        let mut last_round = false;
        loop {
            let rows = self.behind(behind).await?;
            let is_all = rows.len() < ROWS as usize;
            for row in rows {
                behind = row.id;
                let publish = self.jetstream.publish_with_headers(
                    row.subject.clone(),
                    headers(&row),
                    Bytes::from(row.payload.unwrap_or_default()),
                );
                let confirmation = tokio::time::timeout(CONFIRMATION, publish).await??;
                // If nobody confirms any more, that failure is the one to tell.
                if published.send((row.id, confirmation)).await.is_err() {
                    return Ok(());
                }
            }
            // Whoever added a row since those were read has left a wake-up.
            if is_all {
                if last_round {
                    return Ok(());
                }
                last_round = self.idle().await;
            }
        }
    }

    /// Waits for rows; whether no more can come.
    async fn idle(&self) -> bool {
        tokio::select! {
            () = self.relay.wake.notified() => false,
            () = tokio::time::sleep(IDLE) => false,
            () = self.shutdown.drained() => true,
        }
    }

    /// Waits for the confirmations, in the order in which the messages were published.
    async fn confirm(
        &self,
        mut published: mpsc::Receiver<(i64, PublishAckFuture)>,
        deletable: watch::Sender<()>,
    ) -> anyhow::Result<()> {
        // What is confirmed by now and was not told yet: told before every pause, all at once.
        let mut up_to = None;
        loop {
            let next = if let Ok(next) = published.try_recv() {
                Some(next)
            } else {
                self.tell(up_to.take(), &deletable);
                published.recv().await
            };
            let Some((id, confirmation)) = next else {
                return Ok(());
            };
            let mut confirmation = confirmation.into_future();
            let confirmed = if let Some(confirmed) = (&mut confirmation).now_or_never() {
                confirmed
            } else {
                self.tell(up_to.take(), &deletable);
                confirmation.await
            };
            if let Err(error) = confirmed {
                self.tell(up_to, &deletable);
                return Err(error.into());
            }
            up_to = Some(id);
        }
    }

    /// Tells that every row up to this one has been stored.
    fn tell(&self, up_to: Option<i64>, deletable: &watch::Sender<()>) {
        if let Some(up_to) = up_to {
            self.relay.progress.advance(up_to);
            self.show_depth();
            deletable.send_replace(());
        }
    }

    /// Deletes what has been stored, some time later: whoever waits for it need not wait for that.
    /// After a crash it is sent again, and the rows behind it, too, so that the last one wins.
    async fn delete(&self, mut deletable: watch::Receiver<()>) -> anyhow::Result<()> {
        while deletable.changed().await.is_ok() {
            tokio::select! {
                () = tokio::time::sleep(DELETE_EVERY) => {}
                () = self.shutdown.cancelled() => {}
            }
            deletable.mark_unchanged();
            let up_to = self.relay.progress.stored();
            while self.delete_some(up_to).await? {}
        }
        Ok(())
    }

    /// Deletes the oldest rows, none behind `up_to`; whether there may be more.
    async fn delete_some(&self, up_to: i64) -> anyhow::Result<bool> {
        let deleted = self.database.write(move |tx| {
            let sql = "DELETE FROM outbox
                       WHERE id <= ?1 AND id < (SELECT min(id) FROM outbox) + ?2";
            let deleted = tx.prepare_cached(sql)?.execute([up_to, DELETED])?;
            Ok::<_, Failure>(deleted > 0)
        });
        Ok(deleted.await?)
    }

    /// Rows behind `id`, the oldest first.
    async fn behind(&self, id: i64) -> anyhow::Result<Vec<Row>> {
        let (ends, rows) = self
            .database
            .read(move |connection| {
                let ends: (Option<i64>, Option<i64>) = connection
                    .prepare_cached(
                        "SELECT (SELECT min(id) FROM outbox), (SELECT max(id) FROM outbox)",
                    )?
                    .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let mut statement = connection.prepare_cached(
                    "SELECT id, subject, payload, traceparent FROM outbox
                     WHERE id > ?1 ORDER BY id LIMIT ?2",
                )?;
                let rows = statement.query_map(params![id, ROWS], Row::read)?;
                let rows = rows.collect::<Result<Vec<_>, _>>()?;
                Ok::<_, Failure>((ends, rows))
            })
            .await?;
        if let (Some(oldest), Some(newest)) = ends {
            self.newest.store(newest, Ordering::Relaxed);
            // What came before the oldest one was sent before the start.
            if self.relay.progress.stored() < oldest - 1 {
                self.relay.progress.advance(oldest - 1);
            }
        }
        self.show_depth();
        Ok(rows)
    }

    /// Shows how many rows are waiting, without counting them: their ids are dense.
    fn show_depth(&self) -> i64 {
        let newest = self.newest.load(Ordering::Relaxed);
        let waiting = (newest - self.relay.progress.stored()).max(0);
        // Exact up to 4,294,967,295.
        self.depth
            .set(f64::from(u32::try_from(waiting).unwrap_or(u32::MAX)));
        waiting
    }
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            subject: row.get(1)?,
            payload: row.get(2)?,
            traceparent: row.get(3)?,
        })
    }
}

fn headers(row: &Row) -> HeaderMap {
    let mut headers = HeaderMap::new();
    match row.payload {
        Some(_) => headers.insert("content-type", events::CONTENT_TYPE),
        None => headers.insert("KV-Operation", "DEL"),
    }
    if let Some(traceparent) = &row.traceparent {
        headers.insert("traceparent", traceparent.as_str());
    }
    headers
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the outbox can't be read or written: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Closed(#[from] Closed),
}

#[cfg(test)]
mod tests {
    use events::streams::LINKS;

    use super::*;
    use crate::bus::BusConfig;
    use crate::outbox;
    use crate::ready::Readiness;
    use crate::sqlite::Profile;
    use crate::testing::{Folder, NatsServer};

    #[tokio::test]
    async fn a_stop_leaves_nothing_in_the_outbox() {
        let nats = NatsServer::start().await;
        let (shutdown, ready) = (Shutdown::new(), Readiness::default());
        let config = BusConfig {
            url: nats.url(),
            credentials: None,
            replicas: 1,
        };
        let bus = Bus::connect(&config, "test", &shutdown).await.unwrap();
        bus.declare(&LINKS).await.unwrap();
        let folder = Folder::new();
        let path = folder.path().join("x.db");
        let schema = &[outbox::MIGRATION];
        let database = Database::open(&path, Profile::Local, schema, &shutdown, &ready)
            .await
            .unwrap();
        let _relay = Relay::start(database.clone(), &bus, &shutdown);
        let filled = database.write(|tx| {
            for number in 0..1_000 {
                let subject = events::subjects::link(&format!("c{number}"));
                outbox::append(tx, &subject, b"x")?;
            }
            Ok::<_, Failure>(())
        });
        filled.await.unwrap();
        shutdown.begin();
        shutdown.declare_drained();
        assert!(shutdown.finish().await);
        let left = database.read(|connection| {
            let sql = "SELECT count(*) FROM outbox";
            Ok::<_, Failure>(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(left.await.unwrap(), 0);
        let stream = bus.jetstream().get_stream(LINKS.name).await.unwrap();
        assert_eq!(stream.cached_info().state.messages, 1_000);
    }
}
