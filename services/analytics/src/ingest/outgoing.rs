//! What of a set goes to the feed, in the transaction that counts it.

use std::collections::HashMap;

use rusqlite::Connection;
use uuid::Uuid;

use super::set::{Counted, Message};
use crate::feed::BACKLOG;
use crate::store::feed::{self, ELSEWHERE, Entry, Origin};
use crate::store::{Error, position};
use crate::streams::ClickEvent;

/// Writes the messages of those whose feed is on. While nobody's is, it asks once for each set.
pub struct Outgoing {
    /// None while nobody's feed is on.
    open: Option<Open>,
}

struct Open {
    source: Source,
    /// What lies before it was published by a database that was lost.
    barrier: Option<Origin>,
    /// Whose feed is on, of those that were asked for.
    owners: HashMap<Uuid, bool>,
    /// How many messages may be added.
    room: u64,
    /// How many messages were written.
    written: u64,
    /// Clicks that found no room, by their owners.
    dropped: HashMap<Uuid, u64>,
}

/// What became of the clicks whose owners want them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Messages that wait to be published.
    pub messages: u64,
    /// Clicks that have no message, since the backlog is full.
    pub dropped: u64,
}

/// Where the clicks come from.
enum Source {
    /// The stream CLICKS with this epoch.
    Stream(String),
    /// Elsewhere: all of them stand at the one place up to which the stream is counted.
    Elsewhere(Origin),
}

impl Outgoing {
    /// For messages of the stream CLICKS with this epoch; none for messages from elsewhere.
    pub fn new(tx: &Connection, epoch: Option<&str>) -> Result<Self, Error> {
        if !feed::any_enabled(tx)? {
            return Ok(Self { open: None });
        }
        let open = Open {
            source: match epoch {
                Some(epoch) => Source::Stream(epoch.to_owned()),
                None => Source::Elsewhere(counted_up_to(tx)?),
            },
            barrier: feed::barrier(tx)?,
            owners: HashMap::new(),
            room: BACKLOG.saturating_sub(feed::backlog(tx)?),
            written: 0,
            dropped: HashMap::new(),
        };
        Ok(Self { open: Some(open) })
    }

    /// Writes the message of one counted click, if its owner wants it.
    pub fn add(
        &mut self,
        tx: &Connection,
        message: &Message,
        index: usize,
        counted: &Counted,
    ) -> Result<(), Error> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let click = &counted.click;
        let is_wanted = match open.owners.get(&click.owner_id) {
            Some(&is_wanted) => is_wanted,
            None => *open
                .owners
                .entry(click.owner_id)
                .or_insert(feed::is_enabled(tx, click.owner_id)?),
        };
        if !is_wanted {
            return Ok(());
        }
        let origin = match &open.source {
            Source::Stream(epoch) => Origin {
                epoch: epoch.clone(),
                sequence: message.sequence,
                index: u32::try_from(index).unwrap_or(ELSEWHERE - 1),
                stored_at_ns: message.stored_at_ns,
            },
            Source::Elsewhere(origin) => origin.clone(),
        };
        let is_barred = matches!(open.source, Source::Stream(_))
            && open
                .barrier
                .as_ref()
                .is_some_and(|barrier| barrier.bars(&origin));
        if is_barred {
            return Ok(());
        }
        if open.room == 0 {
            *open.dropped.entry(click.owner_id).or_default() += 1;
            return Ok(());
        }
        open.room -= 1;
        open.written += 1;
        let number = message.numbers.start + index as u64;
        let event = ClickEvent::new(click, counted.kind, &counted.agent);
        feed::append(
            tx,
            &Entry {
                id: 0,
                owner: click.owner_id,
                code: click.code.to_string(),
                click: format!("{}-{number}", message.spool),
                at_ms: click.at_ms,
                origin,
                body: serde_json::to_string(&event).expect("plain data always encodes"),
            },
        )?;
        Ok(())
    }

    /// Notes for each owner what found no room.
    pub fn finish(self, tx: &Connection) -> Result<Written, Error> {
        let Some(open) = self.open else {
            return Ok(Written::default());
        };
        for (&owner, &clicks) in &open.dropped {
            feed::count_dropped(tx, owner, clicks)?;
        }
        Ok(Written {
            messages: open.written,
            dropped: open.dropped.values().sum(),
        })
    }
}

/// Behind the last click of the stream that is counted.
fn counted_up_to(tx: &Connection) -> Result<Origin, Error> {
    let position = position::load(tx, events::streams::CLICKS.name)?;
    Ok(match position {
        Some(position) => Origin {
            epoch: position.epoch,
            sequence: position.sequence,
            index: ELSEWHERE,
            stored_at_ns: i64::MAX,
        },
        // Before everything: as a barrier this bars nothing.
        None => Origin {
            epoch: String::new(),
            sequence: 0,
            index: ELSEWHERE,
            stored_at_ns: 0,
        },
    })
}

#[cfg(test)]
mod tests;
