//! Messages that are applied together, decoded and classified.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use chassis::bus::StoredMessage;
use events::{Click, ClickBatch, DecodeError, Partition, subjects};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::turns::Turns;
use crate::rules::{Agent, Kind, Rules};
use crate::store::position::Position;

/// A click that claims to be younger than its message by more than this came from a clock that is
/// wrong; so did one from before 2020. Such a click counts at the time at which it was stored.
const CLOCK_TOLERANCE_MS: i64 = 24 * 60 * 60 * 1_000;
/// 2020-01-01, before the first click of any kurz.
const EPOCH_MS: i64 = 1_577_836_800_000;

/// What is applied in one transaction.
pub struct Set {
    /// The messages, in stream order.
    pub messages: Vec<Message>,
    /// Where the set ends.
    pub position: Position,
    /// Sequences, first and last, of messages that left the stream before they were read.
    pub missed: Vec<(u64, u64)>,
}

impl Set {
    /// Frees what it holds, which takes tens of milliseconds.
    pub fn free(self, turns: &mut Turns<'_>) {
        for message in self.messages {
            drop(message);
            turns.rest();
        }
    }
}

/// One message of the stream.
pub struct Message {
    /// Its sequence.
    pub sequence: u64,
    /// When it was stored, in nanoseconds since 1970.
    pub stored_at_ns: i64,
    /// Its spool.
    pub spool: Uuid,
    /// The numbers of its clicks.
    pub numbers: Range<u64>,
    /// The clicks; none if they could not be read, so that their numbers are missing.
    pub clicks: Option<Vec<Counted>>,
}

/// A click and what it counts as.
#[derive(Debug)]
pub struct Counted {
    /// The click, at a time that can be.
    pub click: Click,
    /// What it counts as.
    pub kind: Kind,
    /// What its user agent says.
    pub agent: Arc<Agent>,
}

/// A message that says nothing that could be counted.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Why, for whoever looks at the dead messages.
    pub reason: String,
    /// Its spool and numbers, if at least they could be read.
    pub numbers: Option<(Uuid, Range<u64>)>,
}

impl Unreadable {
    /// What the message is among the others: numbers without clicks, if it has numbers at all.
    pub fn hole(&self, message: &StoredMessage) -> Option<Message> {
        let (spool, numbers) = self.numbers.clone()?;
        Some(Message {
            sequence: message.sequence,
            stored_at_ns: stored_at_ns(message),
            spool,
            numbers,
            clicks: None,
        })
    }
}

/// The envelope of a batch, whatever is inside.
#[derive(Deserialize)]
struct Envelope {
    spool: Uuid,
    first: u64,
    clicks: Vec<IgnoredAny>,
}

/// Reads and classifies messages: what can be applied, in stream order, with numbers without clicks
/// for those that can't be read; and those, each with the reason.
pub fn read_all(
    messages: Vec<StoredMessage>,
    rules: &Rules,
    partition: Partition,
    turns: &mut Turns<'_>,
) -> (Vec<Message>, Vec<(StoredMessage, String)>) {
    let mut readable = Vec::with_capacity(messages.len());
    let mut unreadable = Vec::new();
    for message in messages {
        turns.rest();
        match read(&message, rules, partition) {
            Ok(read) => readable.push(read),
            Err(why) => {
                readable.extend(why.hole(&message));
                unreadable.push((message, why.reason));
            }
        }
    }
    (readable, unreadable)
}

/// Reads and classifies one message of a partition. One with a click of an account of another
/// partition can't be counted here: its numbers would never be shown to that account.
pub fn read(
    message: &StoredMessage,
    rules: &Rules,
    partition: Partition,
) -> Result<Message, Unreadable> {
    let batch = match ClickBatch::decode(&message.payload) {
        Ok(batch) => batch,
        Err(error) => return Err(unreadable(message, &error)),
    };
    let refuse = |reason: String, numbers| Unreadable { reason, numbers };
    let numbers = numbers(message, batch.spool, batch.first, batch.clicks.len())
        .map_err(|reason| refuse(reason.to_owned(), None))?;
    let refuse = |reason| refuse(reason, Some((batch.spool, numbers.clone())));
    if let Some(click) = batch.clicks.iter().find(|click| !is_code(&click.code)) {
        return Err(refuse(format!("{:?} is no code", click.code)));
    }
    let mut owners = batch.clicks.iter().map(|click| click.owner_id);
    if let Some(owner) = owners.find(|&owner| !partition.holds(owner)) {
        return Err(refuse(format!(
            "the account {owner} is not in partition {partition}"
        )));
    }
    let stored_at_ms = i64::try_from(message.stored_at_ns / 1_000_000).unwrap_or(i64::MAX);
    let mut agents = Agents::new(rules);
    let clicks = batch
        .clicks
        .into_iter()
        .map(|click| count(click, stored_at_ms, &mut agents))
        .collect();
    Ok(Message {
        sequence: message.sequence,
        stored_at_ns: stored_at_ns(message),
        spool: batch.spool,
        numbers,
        clicks: Some(clicks),
    })
}

/// What is told about a message whose clicks can't be read: its numbers, if at least its envelope can.
fn unreadable(message: &StoredMessage, error: &DecodeError) -> Unreadable {
    let (reason, numbers) = match rmp_serde::from_slice::<Envelope>(&message.payload) {
        Err(error) => (format!("no batch: {error}"), None),
        Ok(envelope) => {
            match numbers(
                message,
                envelope.spool,
                envelope.first,
                envelope.clicks.len(),
            ) {
                Err(reason) => (reason.to_owned(), None),
                Ok(numbers) => (error.to_string(), Some((envelope.spool, numbers))),
            }
        }
    };
    Unreadable { reason, numbers }
}

/// 64 bits reach to the year 2262.
fn stored_at_ns(message: &StoredMessage) -> i64 {
    i64::try_from(message.stored_at_ns).unwrap_or(i64::MAX)
}

/// A hash of a message as the server stored it: the same bytes stored again have another one.
pub fn fingerprint(payload: &[u8], stored_at_ns: i128) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(stored_at_ns.to_be_bytes());
    hash.update(payload);
    hash.finalize().to_vec()
}

/// The numbers of a batch, if they can be.
fn numbers(
    message: &StoredMessage,
    spool: Uuid,
    first: u64,
    clicks: usize,
) -> Result<Range<u64>, &'static str> {
    if spool_of(&message.subject) != Some(spool) {
        return Err("its spool is not the one of its subject");
    }
    if clicks == 0 {
        return Err("it holds no click");
    }
    // SQLite's integers are signed; a spool that long can't be.
    let end = first.checked_add(clicks as u64);
    match end.filter(|&end| i64::try_from(end).is_ok()) {
        Some(end) => Ok(first..end),
        None => Err("its numbers are too great"),
    }
}

/// The spool in `clicks.v1.<partition>.<spool>`.
fn spool_of(subject: &str) -> Option<Uuid> {
    let (partition, spool) = subject
        .strip_prefix(subjects::CLICKS_ALL.trim_end_matches('>'))?
        .split_once('.')?;
    partition.parse::<u32>().ok()?;
    spool.parse().ok()
}

/// A code becomes part of subjects and of answers.
fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// What the user agents of a batch say. Its clicks share their texts, so that each one is looked up
/// once, by its address.
struct Agents<'a> {
    rules: &'a Rules,
    known: HashMap<*const u8, Arc<Agent>>,
}

impl<'a> Agents<'a> {
    fn new(rules: &'a Rules) -> Self {
        Self {
            rules,
            known: HashMap::new(),
        }
    }

    /// As [`Rules::classify`]. The addresses stay those of the same texts while the batch is read:
    /// its clicks hold them.
    fn classify(&mut self, click: &Click) -> (Kind, Arc<Agent>) {
        let agent = self
            .known
            .entry(click.user_agent.as_ptr())
            .or_insert_with(|| self.rules.agent(&click.user_agent));
        (Kind::of(click.hints, agent.class), Arc::clone(agent))
    }
}

fn count(mut click: Click, stored_at_ms: i64, agents: &mut Agents<'_>) -> Counted {
    if click.at_ms < EPOCH_MS || click.at_ms > stored_at_ms.saturating_add(CLOCK_TOLERANCE_MS) {
        click.at_ms = stored_at_ms;
    }
    let (kind, agent) = agents.classify(&click);
    Counted { click, kind, agent }
}
