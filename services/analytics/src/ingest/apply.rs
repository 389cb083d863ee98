//! One set, one transaction: counters, numbers, gaps and position.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use rusqlite::Connection;
use uuid::Uuid;

use super::ledger::Ledger;
use super::outgoing::{Outgoing, Written};
use super::set::{Counted, Message, Set};
use super::turns::Turns;
use crate::store::{Error, accounts, counters, ledgers, position};

/// Clicks that are taken down before it is asked again whether the turn is over.
const ASK_AFTER: u64 = 64;

/// What became of a set.
#[derive(Default)]
pub struct Outcome {
    /// Clicks that were counted.
    pub applied: u64,
    /// Clicks that had been seen before.
    pub duplicates: u64,
    /// Clicks of closed accounts, which were dropped.
    pub dropped: u64,
    /// What of the counted clicks goes to the feed.
    pub feed: Written,
    /// Numbers missing, over all spools, if that changed.
    pub missing: Option<u64>,
    /// Messages missed over all times, if that changed.
    pub missed: Option<u64>,
    /// Clicks that wait in the buffer of the counters, if that was touched.
    pub waiting: Option<u64>,
    /// The counted clicks: index of the message in the set, index of the click in the message.
    pub counted: Vec<(usize, usize)>,
}

/// Applies a set inside the transaction `tx`.
pub fn apply(
    tx: &Connection,
    stream: &str,
    set: &Set,
    now_ms: i64,
    turns: &mut Turns<'_>,
) -> Result<Outcome, Error> {
    let epoch = Some(&*set.position.epoch);
    let mut outcome = apply_messages(tx, epoch, &set.messages, now_ms, turns)?;
    for &(first, last) in &set.missed {
        position::add_missed(tx, &set.position.epoch, first, last, now_ms)?;
        outcome.missed = Some(position::missed(tx)?);
    }
    position::save(tx, stream, &set.position)?;
    Ok(outcome)
}

/// Applies messages of the stream with this epoch, or, without one, from wherever they come: the
/// position stays as it is.
pub fn apply_messages(
    tx: &Connection,
    epoch: Option<&str>,
    messages: &[Message],
    now_ms: i64,
    turns: &mut Turns<'_>,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let mut spools: BTreeMap<Uuid, Ledger> = BTreeMap::new();
    let mut owners: HashMap<Uuid, bool> = HashMap::new();
    let clicks = messages
        .iter()
        .filter_map(|message| message.clicks.as_ref());
    let mut visits = counters::Visits::with_room(tx, clicks.map(Vec::len).sum());
    let mut outgoing = Outgoing::new(tx, epoch)?;
    for (at, message) in messages.iter().enumerate() {
        turns.rest();
        let ledger = match spools.entry(message.spool) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(ledgers::load(tx, message.spool)?)
            }
        };
        let Some(clicks) = &message.clicks else {
            ledger.lose(&message.numbers, now_ms);
            continue;
        };
        let mut new = 0;
        for (index, counted) in admitted(ledger, message, clicks, now_ms) {
            new += 1;
            if new % ASK_AFTER == 0 {
                turns.rest();
            }
            let owner = counted.click.owner_id;
            let is_closed = match owners.get(&owner) {
                Some(&is_closed) => is_closed,
                None => *owners
                    .entry(owner)
                    .or_insert(accounts::is_closed(tx, owner)?),
            };
            if is_closed {
                outcome.dropped += 1;
                continue;
            }
            visits.take_down(counted)?;
            outgoing.add(tx, message, index, counted)?;
            outcome.applied += 1;
            outcome.counted.push((at, index));
        }
        outcome.duplicates += clicks.len() as u64 - new;
    }
    outcome.waiting = counters::add(tx, visits, turns)?;
    outcome.feed = outgoing.finish(tx)?;
    for (spool, ledger) in &spools {
        ledgers::save(tx, *spool, ledger)?;
    }
    if spools.values().any(Ledger::gaps_changed) {
        outcome.missing = Some(ledgers::missing(tx)?);
    }
    Ok(outcome)
}

/// The clicks of a message that are new, each with its index in the message.
fn admitted<'a>(
    ledger: &mut Ledger,
    message: &Message,
    clicks: &'a [Counted],
    now_ms: i64,
) -> impl Iterator<Item = (usize, &'a Counted)> {
    let first = message.numbers.start;
    ledger
        .admit(message.numbers.clone(), now_ms)
        .into_iter()
        .flatten()
        .filter_map(move |number| {
            let index = usize::try_from(number - first).ok()?;
            clicks.get(index).map(|click| (index, click))
        })
}

#[cfg(test)]
mod tests;
