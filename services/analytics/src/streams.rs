//! Live streams: who watches, how many may, and what each of them is sent.

mod event;
mod producer;
mod tickets;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use event::ClickEvent;
pub use producer::{Watch, open};
pub use tickets::{LIFETIME as TICKET_LIFETIME, Tickets};

use crate::error::Error;

/// The most live streams of one account: a dashboard in a dozen windows.
pub const MAX_PER_ACCOUNT: usize = 16;

/// The most live streams of all accounts: each holds a buffer and looks at every click.
const MAX_IN_ALL: usize = 2_000;

/// When somebody who has too many streams should try again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The live streams that are open, and the tickets for those that are about to be. Clones share it.
#[derive(Clone, Default)]
pub struct Streams {
    accounts: Arc<Mutex<HashMap<Uuid, Account>>>,
    /// The tickets that were given out.
    pub tickets: Tickets,
}

#[derive(Default)]
struct Account {
    streams: usize,
    closed: CancellationToken,
}

/// The right to one live stream, given back when it is dropped.
pub struct Slot {
    streams: Streams,
    user_id: Uuid,
    closed: CancellationToken,
}

impl Streams {
    /// Takes one of the account's slots.
    pub fn enter(&self, user_id: Uuid) -> Result<Slot, Error> {
        let mut accounts = self.lock();
        let all: usize = accounts.values().map(|account| account.streams).sum();
        let account = accounts.entry(user_id).or_default();
        if account.streams >= MAX_PER_ACCOUNT || all >= MAX_IN_ALL {
            if account.streams == 0 {
                accounts.remove(&user_id);
            }
            return Err(Error::TooMany {
                retry_after: RETRY_AFTER,
            });
        }
        account.streams += 1;
        Ok(Slot {
            streams: self.clone(),
            user_id,
            closed: account.closed.clone(),
        })
    }

    /// Ends all streams of an account that was closed, and makes its tickets worthless.
    pub fn close(&self, user_id: Uuid) {
        self.tickets.forget(user_id);
        if let Some(account) = self.lock().get(&user_id) {
            account.closed.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Account>> {
        // Whoever panicked left nothing half done: every change is one step.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Says when the account is closed.
    pub fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Entry::Occupied(mut account) = self.streams.lock().entry(self.user_id) {
            account.get_mut().streams -= 1;
            if account.get().streams == 0 {
                account.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_so_many_streams_and_no_more() {
        let streams = Streams::default();
        let (alice, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut slots: Vec<Slot> = (0..MAX_PER_ACCOUNT)
            .map(|_| streams.enter(alice).unwrap())
            .collect();
        assert!(matches!(streams.enter(alice), Err(Error::TooMany { .. })));
        assert!(streams.enter(bob).is_ok());
        slots.pop();
        assert!(streams.enter(alice).is_ok());
        slots.clear();
        assert!(streams.lock().is_empty());
    }

    #[test]
    fn a_closed_account_ends_its_streams_only() {
        let streams = Streams::default();
        let (alice, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (hers, his) = (streams.enter(alice).unwrap(), streams.enter(bob).unwrap());
        streams.close(alice);
        assert!(hers.closed().is_cancelled());
        assert!(!his.closed().is_cancelled());
    }
}
