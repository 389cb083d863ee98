use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::Closed;
use super::checkpoints::Checkpoints;
use super::fault::Watch;

/// How many writes may wait; more wait for a place in the queue.
const QUEUE: usize = 1_024;

/// How many writes share a transaction at most, which bounds how long the first of them waits.
const GROUP: usize = 512;

/// How long after the beginning of a transaction the next one begins at the earliest, so that writes
/// share one which come one by one, hundreds in a second. A lonely one does not wait. Much of what a
/// write costs is waking threads, here and behind it where its message goes: with a thousand changes
/// of links a second each cost all services together 1.07 ms, and 0.65 ms with this.
pub(super) const GATHER: Duration = Duration::from_millis(4);

/// How many writes that wait are enough for a transaction at once.
const ENOUGH: usize = 16;

/// The one connection that writes, on a thread of its own.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Write(Box<dyn Write>),
    /// A write that shares its transaction with nobody.
    WriteAlone(Box<dyn Write>),
    /// A write that sees another database, by its URI, under the name [`super::BESIDE`].
    WriteBeside(String, Box<dyn Write>),
    /// Something that must not be in a transaction.
    Alone(Box<dyn FnOnce(&Connection) + Send>),
    Close(oneshot::Sender<()>),
}

/// With whom a write shares its transaction.
pub(super) enum Company {
    /// With whoever else waits.
    Any,
    /// With nobody.
    Nobody,
    /// With nobody, and it sees the database with this URI.
    Beside(String),
}

/// One waiting write, its result type forgotten.
trait Write: Send {
    /// Runs it.
    fn apply(&mut self, connection: &Connection, watch: &Watch) -> Applied;
    /// Tells whoever waits what became of it.
    fn settle(self: Box<Self>, commit: Result<(), &Failure>);
}

/// What is to be done about what a change did.
enum Applied {
    Keep,
    Undo,
    /// The file can't be relied on any more.
    Fault,
}

/// Why a transaction was not committed, as far as anybody knows.
enum Failure {
    /// Nothing of it is in the file.
    Refused(rusqlite::Error),
    /// The file failed, so it may be in it or not.
    Fault,
}

struct Pending<T, E, F> {
    change: Option<F>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Write for Pending<T, E, F>
where
    T: Send,
    E: Error + From<rusqlite::Error> + From<Closed> + Send + 'static,
    F: FnOnce(&Connection) -> Result<T, E> + Send,
{
    fn apply(&mut self, connection: &Connection, watch: &Watch) -> Applied {
        let Some(change) = self.change.take() else {
            return Applied::Undo;
        };
        let result = change(connection);
        let applied = match &result {
            Ok(_) => Applied::Keep,
            Err(error) if watch.is_fault(error) => return Applied::Fault,
            Err(_) => Applied::Undo,
        };
        self.result = Some(result);
        applied
    }

    fn settle(self: Box<Self>, commit: Result<(), &Failure>) {
        let result = match (self.result, commit) {
            // Its own refusal says more than the commit's.
            (Some(Err(error)), _) => Err(error),
            (_, Err(Failure::Refused(error))) => Err(E::from(copy(error))),
            (_, Err(Failure::Fault)) => Err(E::from(Closed)),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(E::from(rusqlite::Error::InvalidQuery)),
        };
        // Whoever waited may have gone away; the change stays.
        let _ = self.answer.send(result);
    }
}

impl Writer {
    /// Takes over `connection`; `log` is another one to the same database if that has a log.
    pub(super) fn start(
        connection: Connection,
        log: Option<Connection>,
        watch: Watch,
    ) -> anyhow::Result<Self> {
        let checkpoints = log
            .map(|log| Checkpoints::start(&connection, log, watch.clone()))
            .transpose()?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || run(connection, checkpoints, &watch, waiting))
            .context("can't start the thread that writes")?;
        Ok(Self { queue })
    }

    /// Waits until the change is durable.
    pub(super) async fn write<T, E, F>(&self, change: F, company: Company) -> Result<T, E>
    where
        T: Send + 'static,
        E: Error + From<rusqlite::Error> + From<Closed> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (answer, settled) = oneshot::channel();
        let pending = Box::new(Pending {
            change: Some(change),
            result: None,
            answer,
        });
        let message = match company {
            Company::Any => Message::Write(pending),
            Company::Nobody => Message::WriteAlone(pending),
            Company::Beside(uri) => Message::WriteBeside(uri, pending),
        };
        let sent = self.queue.send(message).await;
        if sent.is_err() {
            return Err(E::from(Closed));
        }
        settled.await.unwrap_or_else(|_| Err(E::from(Closed)))
    }

    /// Does `work` between two transactions; writes wait meanwhile.
    pub(super) async fn alone<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Closed> + Send + 'static,
    {
        let (answer, done) = oneshot::channel();
        let work = move |connection: &Connection| {
            // Whoever waited may have gone away.
            let _ = answer.send(work(connection));
        };
        if self
            .queue
            .send(Message::Alone(Box::new(work)))
            .await
            .is_err()
        {
            return Err(E::from(Closed));
        }
        done.await.unwrap_or_else(|_| Err(E::from(Closed)))
    }

    pub(super) async fn close(&self) {
        let (closed, waiting) = oneshot::channel();
        if self.queue.send(Message::Close(closed)).await.is_ok() {
            let _ = waiting.await;
        }
    }
}

fn run(
    connection: Connection,
    mut checkpoints: Option<Checkpoints>,
    watch: &Watch,
    mut waiting: mpsc::Receiver<Message>,
) {
    let mut messages = Vec::with_capacity(GROUP);
    let mut earliest = Instant::now();
    while receive(&mut waiting, &mut messages, earliest) {
        earliest = Instant::now() + GATHER;
        let mut group = Vec::with_capacity(messages.len());
        let mut closing = None;
        for message in messages.drain(..) {
            match message {
                Message::Write(write) => group.push(write),
                Message::WriteAlone(write) => {
                    commit(&connection, watch, std::mem::take(&mut group));
                    commit(&connection, watch, vec![write]);
                }
                Message::WriteBeside(uri, write) => {
                    commit(&connection, watch, std::mem::take(&mut group));
                    commit_beside(&connection, watch, &uri, write);
                }
                Message::Alone(work) => {
                    commit(&connection, watch, std::mem::take(&mut group));
                    if !watch.has_failed() {
                        work(&connection);
                    }
                }
                Message::Close(closed) => closing = Some(closed),
            }
        }
        commit(&connection, watch, group);
        if let Some(checkpoints) = &mut checkpoints
            && !watch.has_failed()
        {
            checkpoints.between_commits(&connection, watch);
        }
        if watch.has_failed() {
            // Closed by the end of the process, since closing writes. Whoever waits in the queue
            // learns from its end that the database is closed.
            std::mem::forget(connection);
            return;
        }
        if let Some(closed) = closing {
            waiting.close();
            if let Some(checkpoints) = checkpoints {
                checkpoints.stop();
            }
            finish(connection, watch);
            let _ = closed.send(());
            return;
        }
    }
}

/// Waits for something to do, and, if that is a write, gathers until `earliest`; whether more can come.
#[expect(
    clippy::disallowed_methods,
    reason = "it waits so that others can join, for a time; no state is waited for"
)]
fn receive(
    waiting: &mut mpsc::Receiver<Message>,
    messages: &mut Vec<Message>,
    earliest: Instant,
) -> bool {
    let Some(first) = waiting.blocking_recv() else {
        return false;
    };
    if matches!(first, Message::Write(_)) && waiting.len() < ENOUGH {
        thread::sleep(earliest.saturating_duration_since(Instant::now()));
    }
    messages.push(first);
    while messages.len() < GROUP
        && let Ok(message) = waiting.try_recv()
    {
        messages.push(message);
    }
    true
}

/// Closes the connection, so that the file alone holds everything: who copies a database that nobody
/// has open should need no second file, even if a reader's connection ends later than this one.
fn finish(connection: Connection, watch: &Watch) {
    if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        && !watch.is_fault(&error)
    {
        tracing::warn!(%error, "what was written stays in the log beside the database");
    }
    if watch.has_failed() {
        // Closing writes.
        std::mem::forget(connection);
    }
}

fn commit(connection: &Connection, watch: &Watch, mut group: Vec<Box<dyn Write>>) {
    if group.is_empty() {
        return;
    }
    // It may also be a reader that found out.
    let result = if watch.has_failed() {
        Err(Failure::Fault)
    } else {
        apply_all(connection, watch, &mut group)
    };
    if matches!(result, Err(Failure::Refused(_))) && !connection.is_autocommit() {
        // The transaction is lost either way; without this no other one could begin.
        if let Err(error) = connection.execute_batch("ROLLBACK") {
            watch.is_fault(&error);
        }
    }
    for write in group {
        write.settle(result.as_ref().copied());
    }
}

/// Commits a write in a transaction of its own: databases are attached outside of transactions only.
fn commit_beside(connection: &Connection, watch: &Watch, uri: &str, write: Box<dyn Write>) {
    if let Err(error) = super::attach(connection, uri) {
        write.settle(Err(&Failure::Refused(error)));
        return;
    }
    commit(connection, watch, vec![write]);
    if watch.has_failed() {
        return;
    }
    if let Err(error) = super::detach(connection) {
        tracing::error!(%error, "a database stays attached until the process ends");
    }
}

fn apply_all(
    connection: &Connection,
    watch: &Watch,
    group: &mut [Box<dyn Write>],
) -> Result<(), Failure> {
    let run = |sql: &str| {
        let done = connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]));
        done.map(drop).map_err(|error| {
            if watch.is_fault(&error) {
                Failure::Fault
            } else {
                Failure::Refused(error)
            }
        })
    };
    run("BEGIN IMMEDIATE")?;
    if let [write] = group {
        // A savepoint would only double the transaction: SQLite keeps a copy of every page that is
        // changed behind one.
        return match write.apply(connection, watch) {
            Applied::Keep => run("COMMIT"),
            Applied::Undo => run("ROLLBACK"),
            Applied::Fault => Err(Failure::Fault),
        };
    }
    for write in group {
        run("SAVEPOINT change")?;
        match write.apply(connection, watch) {
            Applied::Keep => {}
            Applied::Undo => run("ROLLBACK TO change")?,
            Applied::Fault => return Err(Failure::Fault),
        }
        run("RELEASE change")?;
    }
    run("COMMIT")
}

/// The same error for each of those that shared the transaction.
fn copy(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => {
            rusqlite::Error::SqliteFailure(*code, text.clone())
        }
        other => rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
            Some(other.to_string()),
        ),
    }
}
