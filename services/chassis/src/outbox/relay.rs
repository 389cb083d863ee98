use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::PublishAckFuture;
use bytes::Bytes;
use tokio::sync::{Notify, watch};

use crate::backoff::Backoff;
use crate::bus::Bus;
use crate::shutdown::Shutdown;
use crate::sqlite::{Closed, Database};

/// How many messages are on their way at the same time.
const WINDOW: u32 = 256;

/// How long to wait for new rows before looking again, should a wake-up have been missed.
const IDLE: Duration = Duration::from_secs(1);

/// How long the stream may take to confirm a message.
const CONFIRMATION: Duration = Duration::from_secs(5);

/// Sends what stands in the outbox. Clones share it.
#[derive(Debug, Clone)]
pub struct Relay {
    wake: Arc<Notify>,
    /// Every row up to this one has been stored by NATS.
    sent: Arc<watch::Sender<i64>>,
}

struct Row {
    id: i64,
    subject: String,
    payload: Option<Vec<u8>>,
    traceparent: Option<String>,
}

impl Relay {
    /// Starts the worker that sends; it sends what it can until the shutdown begins.
    pub fn start(database: Database, bus: Bus, shutdown: &Shutdown) -> Self {
        let relay = Self {
            wake: Arc::new(Notify::new()),
            sent: Arc::new(watch::Sender::new(0)),
        };
        let worker = Worker {
            database,
            bus,
            relay: relay.clone(),
            shutdown: shutdown.clone(),
        };
        shutdown.spawn("outbox relay", worker.run());
        relay
    }

    /// Waits until the stream has stored the message in row `id`, at most `limit`; whether it has.
    pub async fn sent(&self, id: i64, limit: Duration) -> bool {
        self.wake.notify_one();
        let mut sent = self.sent.subscribe();
        let stored = sent.wait_for(|up_to| *up_to >= id);
        tokio::time::timeout(limit, stored)
            .await
            .is_ok_and(|result| result.is_ok())
    }

    /// Tells the relay that there is something to send, without waiting for it.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}

struct Worker {
    database: Database,
    bus: Bus,
    relay: Relay,
    shutdown: Shutdown,
}

impl Worker {
    async fn run(self) -> anyhow::Result<()> {
        let depth = metrics::gauge!("kurz_outbox_depth", "database" => self.name());
        let mut backoff = Backoff::default();
        // Rows are added until the last request was answered; one more round sends those too.
        let mut last_round = false;
        loop {
            let (rows, waiting) = self.oldest().await?;
            depth.set(waiting);
            if rows.is_empty() {
                if last_round {
                    return Ok(());
                }
                last_round = self.idle().await;
                continue;
            }
            match self.send(&rows).await {
                Ok(up_to) => {
                    self.forget(up_to).await?;
                    self.relay.sent.send_replace(up_to);
                    backoff.reset();
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), waiting, "outbox not sent yet");
                    if self.shutdown.is_cancelled() {
                        // It stays in the database, and is sent after the next start.
                        return Ok(());
                    }
                    backoff.wait(&self.shutdown).await;
                }
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

    async fn oldest(&self) -> Result<(Vec<Row>, f64), anyhow::Error> {
        self.database
            .read(|connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT id, subject, payload, traceparent FROM outbox ORDER BY id LIMIT ?1",
                )?;
                let rows = statement
                    .query_map([WINDOW], |row| {
                        Ok(Row {
                            id: row.get(0)?,
                            subject: row.get(1)?,
                            payload: row.get(2)?,
                            traceparent: row.get(3)?,
                        })
                    })?
                    .collect::<Result<Vec<_>, _>>()?;
                // Counting all of them would make a long queue slower still; ids are dense.
                let waiting = connection
                    .prepare_cached("SELECT coalesce(max(id) - min(id) + 1, 0) FROM outbox")?
                    .query_row([], |row| row.get(0))?;
                Ok::<_, Failure>((rows, waiting))
            })
            .await
            .map_err(anyhow::Error::from)
    }

    /// Sends all rows and waits for their confirmations; the last row before the first failure.
    async fn send(&self, rows: &[Row]) -> anyhow::Result<i64> {
        let mut confirmations: Vec<(i64, PublishAckFuture)> = Vec::with_capacity(rows.len());
        for row in rows {
            let payload = Bytes::from(row.payload.clone().unwrap_or_default());
            let publish = self.bus.jetstream().publish_with_headers(
                row.subject.clone(),
                headers(row),
                payload,
            );
            confirmations.push((row.id, tokio::time::timeout(CONFIRMATION, publish).await??));
        }
        let mut up_to = None;
        for (id, confirmation) in confirmations {
            match tokio::time::timeout(CONFIRMATION, confirmation).await {
                Ok(Ok(_)) => up_to = Some(id),
                Ok(Err(error)) if up_to.is_none() => return Err(error.into()),
                Err(elapsed) if up_to.is_none() => return Err(elapsed.into()),
                // What was stored before the failure is done; the rest goes again, in order.
                _ => break,
            }
        }
        up_to.ok_or_else(|| anyhow::anyhow!("nothing to send"))
    }

    async fn forget(&self, up_to: i64) -> anyhow::Result<()> {
        self.database
            .write(move |tx| {
                tx.prepare_cached("DELETE FROM outbox WHERE id <= ?1")?
                    .execute([up_to])?;
                Ok::<_, Failure>(())
            })
            .await
            .map_err(anyhow::Error::from)
    }

    fn name(&self) -> String {
        let name = self.database.path().file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
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
