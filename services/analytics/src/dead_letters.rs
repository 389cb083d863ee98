//! Messages that were set aside: shown, and tried again by a version that can read them.

use std::fmt::Write as _;

use anyhow::{Context as _, anyhow, ensure};
use async_nats::HeaderMap;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use bytes::Bytes;
use chassis::bus::{Follow, Start, StoredMessage};
use chassis::problem::Problem;
use events::{streams, subjects};
use jiff::Timestamp;

use crate::ingest::apply::{Outcome, apply_messages};
use crate::ingest::turns::Turns;
use crate::ingest::{self, dead, set};
use crate::state::AppState;

/// Messages that are shown at most, so that the answer can be read.
const SHOWN: usize = 1_000;

/// Which messages to try again.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// The one with this sequence in the stream `DEAD`.
    One(u64),
    /// Every one, from the oldest on.
    All,
}

/// What became of a retry.
#[derive(Default)]
pub struct Retried {
    /// One line for each message.
    pub text: String,
    /// How many are still dead.
    pub failed: usize,
    tried: usize,
}

/// A message as it lies in `DEAD`.
struct Letter {
    sequence: u64,
    stored_at_ns: i128,
    payload: Bytes,
    headers: HeaderMap,
    /// The subject on which it lies: `dead.v1.<stream>`.
    subject: String,
}

/// One line for each message: where it was, and why it could not be read. Not more than 1,000.
pub async fn list(state: &AppState) -> Result<String, Problem> {
    let mut text = format!(
        "{:>8}  {:20}  {:>12}  {:>7}  {:56}  reason\n",
        "sequence", "set aside", "in stream", "bytes", "subject"
    );
    let mut letters = letters(state).await?;
    let mut count = 0;
    while count < SHOWN
        && let Some(letter) = next(&mut letters).await?
    {
        count += 1;
        text.push_str(&letter.line());
    }
    // Writing into a String can't fail.
    let _ = if letters.left() > 0 {
        writeln!(text, "\nthe first {count} messages; there are more")
    } else {
        writeln!(text, "\n{count} messages")
    };
    Ok(text)
}

/// Counts those that can be read by now, and takes them out of `DEAD`. Their numbers were gaps,
/// which this closes; what was counted already is not counted again.
pub async fn retry(state: &AppState, which: Which) -> Result<Retried, Problem> {
    let stream = dead_stream(state)
        .await
        .map_err(|error| unreachable(&error))?;
    let mut retried = Retried::default();
    match which {
        Which::One(sequence) => {
            let letter = letter(&stream, sequence).await?;
            retried.add(state, &stream, &letter).await;
        }
        Which::All => {
            let mut letters = letters(state).await?;
            while let Some(letter) = next(&mut letters).await? {
                retried.add(state, &stream, &letter).await;
            }
        }
    }
    // Writing into a String can't fail.
    let _ = writeln!(
        retried.text,
        "\n{} of {} messages counted",
        retried.tried - retried.failed,
        retried.tried
    );
    Ok(retried)
}

impl Retried {
    async fn add(&mut self, state: &AppState, stream: &Stream, letter: &Letter) {
        self.tried += 1;
        // Writing into a String can't fail.
        let _ = match retry_one(state, stream, letter).await {
            Ok(outcome) => writeln!(
                self.text,
                "{}: {} clicks counted, {} seen before, {} of closed accounts dropped",
                letter.sequence, outcome.applied, outcome.duplicates, outcome.dropped
            ),
            Err(error) => {
                self.failed += 1;
                writeln!(self.text, "{}: still dead: {error:#}", letter.sequence)
            }
        };
    }
}

async fn retry_one(state: &AppState, stream: &Stream, letter: &Letter) -> anyhow::Result<Outcome> {
    let message = letter.original(&state.clicks_stream())?;
    let (rules, partition) = (state.rules.clone(), state.partition);
    let read = tokio::task::spawn_blocking(move || set::read(&message, &rules, partition));
    let message = read.await?.map_err(|why| anyhow!(why.reason))?;
    let now_ms = state.clock.now_ms();
    let outcome = {
        // A rebuild compares two databases that stand still.
        let _applying = state.applying.lock().await;
        let write = state.database.write(move |tx| {
            apply_messages(tx, None, &[message], now_ms, &mut Turns::without_rest())
        });
        write.await.map_err(anyhow::Error::from)?
    };
    ingest::report(state, &outcome);
    tracing::info!(
        sequence = letter.sequence,
        applied = outcome.applied,
        "a message that was set aside is counted"
    );
    // A crash before this leaves a message that changes nothing when it is tried again.
    stream
        .delete_message(letter.sequence)
        .await
        .context("it was counted, but can't be deleted from DEAD (trying again is harmless)")?;
    Ok(outcome)
}

impl Letter {
    fn line(&self) -> String {
        let header = |name| self.header(name).unwrap_or("?");
        format!(
            "{:>8}  {:20}  {:>12}  {:>7}  {:56}  {}\n",
            self.sequence,
            self.set_aside_at(),
            header(dead::SEQUENCE),
            self.header(dead::CUT).map_or_else(
                || self.payload.len().to_string(),
                |bytes| format!("{bytes}, cut"),
            ),
            header(dead::SUBJECT),
            header(dead::REASON),
        )
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }

    fn set_aside_at(&self) -> String {
        i64::try_from(self.stored_at_ns / 1_000_000_000)
            .ok()
            .and_then(|second| Timestamp::from_second(second).ok())
            .map_or_else(|| "?".to_owned(), |at| at.to_string())
    }

    /// The message as it was in its own stream, which must be this one.
    fn original(&self, stream: &str) -> anyhow::Result<StoredMessage> {
        let own = subjects::dead(stream);
        ensure!(
            self.subject == own,
            "only messages of {own} can be tried again, and it is of {}",
            self.subject
        );
        ensure!(
            self.header(dead::CUT).is_none(),
            "its end was cut off, since it was longer than the server accepts"
        );
        let subject = self.header(dead::SUBJECT).context("it has no subject")?;
        let sequence = self.header(dead::SEQUENCE).and_then(|it| it.parse().ok());
        Ok(StoredMessage {
            subject: subject.to_owned(),
            sequence: sequence.context("it has no sequence")?,
            stored_at_ns: self.stored_at_ns,
            payload: self.payload.clone(),
            headers: HeaderMap::new(),
            pending: 0,
        })
    }
}

async fn dead_stream(state: &AppState) -> anyhow::Result<Stream> {
    Ok(state.bus.jetstream().get_stream(streams::DEAD.name).await?)
}

/// Those that are there, from the oldest on: one by one, since each can be as long as the server
/// takes.
async fn letters(state: &AppState) -> Result<Follow, Problem> {
    // Those of other partitions are tried again there.
    let own = subjects::dead(&state.clicks_stream());
    let filter = state.partition.is_one_of_many().then_some(own.as_str());
    let follow = state.bus.follow(streams::DEAD.name, filter, Start::First);
    follow.await.map_err(|error| unreachable(&error.into()))
}

async fn next(letters: &mut Follow) -> Result<Option<Letter>, Problem> {
    let message = letters.next_of_backlog().await;
    let message = message.map_err(|error| unreachable(&error.into()))?;
    Ok(message.map(|message| Letter {
        sequence: message.sequence,
        stored_at_ns: message.stored_at_ns,
        payload: message.payload,
        headers: message.headers,
        subject: message.subject,
    }))
}

async fn letter(stream: &Stream, sequence: u64) -> Result<Letter, Problem> {
    let missing = || Problem::not_found(format!("DEAD holds no message {sequence}"));
    if sequence == 0 {
        return Err(missing());
    }
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(Letter {
            sequence: message.sequence,
            stored_at_ns: message.time.unix_timestamp_nanos(),
            payload: message.payload,
            headers: message.headers,
            subject: message.subject.to_string(),
        }),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Err(missing()),
        Err(error) => Err(unreachable(&error.into())),
    }
}

fn unreachable(error: &anyhow::Error) -> Problem {
    Problem::unavailable(format!("the stream DEAD does not answer: {error:#}"))
}
