//! Puts batches of one spool into the stream, each right behind its predecessor.
//!
//! A publish carries the sequence of the subject's last message, so the stream takes it only there:
//! a repeat, a late copy or a batch out of order is refused. What a courier knows:
//!
//! - `position`: every click before it is in the stream. It never goes back.
//! - `expected`: the sequence of the subject's last message (0: there is none). Known from an
//!   acknowledgement, or from a message that was read; never from an error's text, since behind a
//!   sequence whose message was not read there may be clicks that would be skipped or sent twice.
//!
//! After any failure `expected` is forgotten, and found again by asking the stream's leader.

use std::borrow::Cow;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM};
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use chassis::bus::Bus;
use events::{Partition, click, streams, subjects};
use uuid::Uuid;

use crate::spool::Batch;

/// How long a batch may be on its way: some thousand times what it takes in good times. A late
/// acknowledgement costs one question, not a click.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a batch is not known to be in the stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Nothing was sent.
    #[error("NATS is away")]
    Away,
    /// It may be there or not.
    #[error("the stream did not answer within {ACK_TIMEOUT:?}")]
    Silent,
    /// The stream, or whoever stands for it, said no.
    #[error(transparent)]
    Refused(#[from] async_nats::jetstream::context::PublishError),
    /// The question for the last message was not answered with one.
    #[error("can't ask the stream for its last batch: {0}")]
    Unanswered(#[from] async_nats::jetstream::stream::LastRawMessageError),
    /// There is no stream to ask.
    #[error("can't ask the stream: {0}")]
    NoStream(#[from] async_nats::jetstream::context::GetStreamError),
}

/// The one that brings batches of one spool.
#[derive(Debug)]
pub(super) struct Courier {
    bus: Bus,
    spool: Uuid,
    stream: Cow<'static, str>,
    subject: String,
    position: u64,
    expected: Option<u64>,
}

impl Courier {
    /// For a spool that is new: nothing of it can be in the stream.
    pub(super) fn new(bus: Bus, partition: Partition, spool: Uuid) -> Self {
        let subject = subjects::clicks(partition, spool);
        Self {
            bus,
            spool,
            stream: streams::CLICKS.name_in(partition),
            subject,
            position: 0,
            expected: Some(0),
        }
    }

    /// For a spool that an earlier process left: anything of it may be there.
    pub(super) fn of_leftover(bus: Bus, partition: Partition, spool: Uuid) -> Self {
        Self {
            expected: None,
            ..Self::new(bus, partition, spool)
        }
    }

    /// Every click before this one is in the stream.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Whether the next step is [`Courier::find_place`].
    pub(super) fn is_in_doubt(&self) -> bool {
        self.expected.is_none()
    }

    /// Goes on at `first`, if that is further on: what is before it was acknowledged to an earlier
    /// process, or is lost.
    pub(super) fn skip_to(&mut self, first: u64) {
        self.position = self.position.max(first);
    }

    /// Asks the stream's leader for the last batch of this spool, and goes on behind it. A batch
    /// before `position` is that of a stream restored from a backup: what it lost is not here any
    /// more, and becomes a gap that analytics keeps. `known` is how many clicks this spool has.
    pub(super) async fn find_place(&mut self, known: Option<u64>) -> Result<(), Error> {
        if !self.bus.is_connected() {
            return Err(Error::Away);
        }
        // Answered by the leader; a direct get may be answered by a replica that is behind.
        let stream = self
            .bus
            .jetstream()
            .get_stream_no_info(&*self.stream)
            .await?;
        let question = stream.get_last_raw_message_by_subject(&self.subject);
        let answer = tokio::time::timeout(ACK_TIMEOUT, question)
            .await
            .map_err(|_| Error::Silent)?;
        let message = match answer {
            Ok(message) => message,
            // Never sent, or already applied and deleted, or the stream is a new one.
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                self.expected = Some(0);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        match click::decode_head(&message.payload) {
            Ok((spool, first, count)) if spool == self.spool => {
                let stored = first.saturating_add(u64::from(count));
                if known.is_some_and(|known| stored > known) {
                    tracing::error!(
                        subject = self.subject,
                        stored,
                        known,
                        "the stream holds clicks of this spool that it never had: is it written by somebody else?"
                    );
                }
                self.position = self.position.max(stored.min(known.unwrap_or(stored)));
            }
            // It says nothing about our clicks: analytics sets it aside, and ours go behind it.
            other => tracing::error!(
                subject = self.subject,
                sequence = message.sequence,
                error = other.err().map(|error| error.to_string()),
                "the stream's last message on this spool's subject is no batch of this spool"
            ),
        }
        self.expected = Some(message.sequence);
        Ok(())
    }

    /// Sends the batch, which begins at `position`, and waits for the acknowledgement.
    pub(super) async fn send(
        &mut self,
        batch: &Batch,
        traceparent: Option<String>,
    ) -> Result<(), Error> {
        debug_assert_eq!(
            batch.first(),
            self.position,
            "a batch goes right behind the last one"
        );
        if !self.bus.is_connected() {
            return Err(Error::Away);
        }
        // Until the acknowledgement says otherwise.
        let Some(expected) = self.expected.take() else {
            return Err(Error::Silent);
        };
        let payload = click::encode_batch(self.spool, batch.first(), batch.clicks());
        let headers = headers(&self.stream, expected, traceparent);
        let publish = async {
            let subject = self.subject.clone();
            let sent = self
                .bus
                .jetstream()
                .publish_with_headers(subject, headers, payload.into());
            sent.await?.await
        };
        let stored = tokio::time::timeout(ACK_TIMEOUT, publish)
            .await
            .map_err(|_| Error::Silent)??;
        self.expected = Some(stored.sequence);
        self.position = batch.next();
        Ok(())
    }
}

fn headers(stream: &str, expected: u64, traceparent: Option<String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
    // With another number of partitions the same subject is of another stream, where this would be
    // counted in the wrong place: it is refused there, and waits.
    headers.insert(NATS_EXPECTED_STREAM, stream);
    headers.insert("content-type", events::CONTENT_TYPE);
    if let Some(traceparent) = traceparent {
        headers.insert("traceparent", traceparent);
    }
    headers
}
