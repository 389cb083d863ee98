use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chassis::bus::{Follow, Start, StoredMessage};
use chassis::sqlite::Database;
use events::streams;

use super::base::Base;
use super::output::Output;
use crate::ingest::apply::apply;
use crate::ingest::fetch::{SET_BYTES, SET_MESSAGES};
use crate::ingest::set::{self, Set, fingerprint};
use crate::ingest::turns::Turns;
use crate::state::AppState;
use crate::store::position::Position;

/// How long the stream may take for the next message of those that it holds.
const LIMIT: Duration = Duration::from_secs(10);

/// How often the progress is told at most.
const PAUSE: Duration = Duration::from_millis(250);

/// How long the bar is.
const BAR: usize = 30;

/// Applies the stream to the fresh database, each message as the ingest does.
pub(super) struct Replay<'a> {
    state: &'a AppState,
    fresh: &'a Database,
    epoch: String,
    follow: Follow,
    /// Read, and behind where it was to stop.
    ahead: Option<StoredMessage>,
    /// Everything up to this sequence is applied.
    applied: u64,
    first: u64,
    clicks: u64,
    unreadable: u64,
    started: Instant,
    told: Instant,
}

impl<'a> Replay<'a> {
    /// Behind what the base holds.
    pub(super) async fn begin(
        state: &'a AppState,
        fresh: &'a Database,
        base: &Base,
        counted: &Position,
    ) -> anyhow::Result<Self> {
        let name = &*state.clicks_stream();
        let epoch = state.bus.epoch(name).await?;
        ensure!(
            counted.epoch == epoch,
            "the stream was made anew, and nothing of it was counted yet: try again later"
        );
        let start = Start::Sequence(base.sequence() + 1);
        Ok(Self {
            state,
            fresh,
            epoch,
            follow: state.bus.follow(name, None, start).await?,
            ahead: None,
            applied: base.sequence(),
            first: base.sequence(),
            clicks: 0,
            unreadable: 0,
            started: Instant::now(),
            told: Instant::now(),
        })
    }

    /// Applies everything up to the message at `target`, and checks that it is that very message.
    pub(super) async fn go_to(&mut self, target: &Position, output: &Output) -> anyhow::Result<()> {
        while self.applied < target.sequence {
            ensure!(!self.state.shutdown.is_cancelled(), "the service stops");
            let messages = self.next_set(target.sequence).await?;
            let position = self.apply(messages).await?;
            if position.sequence == target.sequence {
                ensure!(
                    position == *target,
                    "the stream is not the one that was counted: try again when it was read"
                );
            }
            if self.told.elapsed() >= PAUSE {
                self.told = Instant::now();
                output.progress(&self.progress(target.sequence)).await?;
            }
        }
        ensure!(
            target.epoch == self.epoch && target.sequence == self.applied,
            "the stream, or the database, was replaced meanwhile: try again when it was read"
        );
        Ok(())
    }

    /// What it did, in a line.
    pub(super) fn summary(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.rate();
        let unreadable = match self.unreadable {
            0 => String::new(),
            messages => format!("; {messages} messages can't be read"),
        };
        format!(
            "{} clicks counted again in {seconds:.1} s: {rate:.0} clicks/s{unreadable}",
            self.clicks
        )
    }

    async fn next_set(&mut self, target: u64) -> anyhow::Result<Vec<StoredMessage>> {
        let mut messages: Vec<StoredMessage> = Vec::new();
        let mut bytes = 0;
        while bytes < SET_BYTES && messages.len() < SET_MESSAGES {
            let read_up_to = messages.last().map_or(self.applied, |last| last.sequence);
            if read_up_to >= target {
                break;
            }
            let message = match self.ahead.take() {
                Some(message) => message,
                None => self.next().await?,
            };
            if message.sequence > target {
                self.ahead = Some(message);
                ensure!(
                    !messages.is_empty(),
                    "message {target}, the last one that was counted, is no longer in the stream: \
                     try again when more has been counted"
                );
                break;
            }
            bytes += message.payload.len();
            messages.push(message);
        }
        Ok(messages)
    }

    async fn next(&mut self) -> anyhow::Result<StoredMessage> {
        let next = tokio::time::timeout(LIMIT, self.follow.next()).await;
        Ok(next
            .with_context(|| format!("the stream said nothing for {LIMIT:?}"))?
            .context("the stream ended")??)
    }

    async fn apply(&mut self, messages: Vec<StoredMessage>) -> anyhow::Result<Position> {
        let mut missed = Vec::new();
        for message in &messages {
            if message.sequence > self.applied + 1 {
                missed.push((self.applied + 1, message.sequence - 1));
            }
            self.applied = message.sequence;
        }
        let last = messages.last().context("a set has a message")?;
        let position = Position {
            epoch: self.epoch.clone(),
            sequence: last.sequence,
            fingerprint: fingerprint(&last.payload, last.stored_at_ns),
        };
        let (rules, partition) = (self.state.rules.clone(), self.state.partition);
        let reading = tokio::task::spawn_blocking(move || {
            set::read_all(messages, &rules, partition, &mut Turns::without_rest())
        });
        let (messages, unreadable) = reading.await?;
        self.unreadable += unreadable.len() as u64;
        let set = Set {
            messages,
            position: position.clone(),
            missed,
        };
        let now_ms = self.state.clock.now_ms();
        let applied = self.fresh.write_alone(move |tx| {
            let mut turns = Turns::without_rest();
            apply(tx, streams::CLICKS.name, &set, now_ms, &mut turns)
        });
        let outcome = applied
            .await
            .context("the fresh database can't be written")?;
        self.clicks += outcome.applied + outcome.dropped;
        Ok(position)
    }

    fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
        let clicks = self.clicks as f64;
        clicks / self.started.elapsed().as_secs_f64().max(0.001)
    }

    fn progress(&self, target: u64) -> String {
        let (done, all) = (self.applied - self.first, target - self.first);
        let full =
            usize::try_from(done * BAR as u64 / all.max(1)).map_or(BAR, |full| full.min(BAR));
        #[expect(clippy::cast_precision_loss, reason = "a percentage is rounded anyway")]
        let part = done as f64 / all.max(1) as f64;
        let left = self.started.elapsed().as_secs_f64() * (1.0 - part) / part.max(0.001);
        format!(
            "[{}{}] {:3.0} %  {} clicks  {:.0} clicks/s  {left:.0} s left   ",
            "#".repeat(full),
            ".".repeat(BAR - full),
            part * 100.0,
            self.clicks,
            self.rate(),
        )
    }
}
