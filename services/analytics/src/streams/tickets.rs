use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::error::Error;

/// How long a ticket can be used: it is fetched right before the stream is opened. Short, because
/// it stands in a URL, and URLs end up in logs.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(1);

/// The most unused tickets of one account at a time; more than it may have streams.
const MAX_PER_ACCOUNT: usize = 32;

/// The most unused tickets of all accounts: about 2 MB.
const MAX_IN_ALL: usize = 20_000;

/// The right to open one live stream without a header.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// What stands in the URL; 122 random bits.
    pub secret: String,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// The tickets that were given out and not used. Clones share them; a restart forgets them.
#[derive(Clone, Default)]
pub struct Tickets(Arc<Mutex<HashMap<Uuid, Holder>>>);

struct Holder {
    user_id: Uuid,
    expires_at: Timestamp,
}

impl Tickets {
    /// Gives out a ticket.
    pub fn issue(&self, user_id: Uuid, now: Timestamp) -> Result<Ticket, Error> {
        let mut tickets = self.lock();
        tickets.retain(|_, holder| holder.expires_at > now);
        let own = tickets
            .values()
            .filter(|holder| holder.user_id == user_id)
            .count();
        if own >= MAX_PER_ACCOUNT || tickets.len() >= MAX_IN_ALL {
            return Err(Error::TooMany {
                retry_after: LIFETIME.unsigned_abs(),
            });
        }
        let secret = Uuid::new_v4();
        let expires_at = now + LIFETIME;
        tickets.insert(
            secret,
            Holder {
                user_id,
                expires_at,
            },
        );
        Ok(Ticket {
            secret: secret.simple().to_string(),
            expires_at,
        })
    }

    /// Takes a ticket: whose it is. It is gone then, also if it was too old.
    pub fn redeem(&self, secret: &str, now: Timestamp) -> Option<Uuid> {
        let secret = Uuid::try_parse(secret).ok()?;
        let holder = self.lock().remove(&secret)?;
        (holder.expires_at > now).then_some(holder.user_id)
    }

    /// Makes all tickets of an account worthless.
    pub fn forget(&self, user_id: Uuid) {
        self.lock().retain(|_, holder| holder.user_id != user_id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Holder>> {
        // Whoever panicked left nothing half done: every change is one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Uuid = Uuid::from_u128(1);

    #[test]
    fn a_ticket_is_good_once() {
        let (tickets, now) = (Tickets::default(), Timestamp::UNIX_EPOCH);
        let ticket = tickets.issue(ALICE, now).unwrap();
        assert_eq!(tickets.redeem(&ticket.secret, now), Some(ALICE));
        assert_eq!(tickets.redeem(&ticket.secret, now), None);
    }

    #[test]
    fn a_ticket_is_good_for_a_minute() {
        let (tickets, now) = (Tickets::default(), Timestamp::UNIX_EPOCH);
        let ticket = tickets.issue(ALICE, now).unwrap();
        assert_eq!(tickets.redeem(&ticket.secret, now + LIFETIME), None);
    }

    #[test]
    fn tickets_of_a_closed_account_are_worthless() {
        let (tickets, now) = (Tickets::default(), Timestamp::UNIX_EPOCH);
        let ticket = tickets.issue(ALICE, now).unwrap();
        tickets.forget(ALICE);
        assert_eq!(tickets.redeem(&ticket.secret, now), None);
    }

    #[test]
    fn nobody_hoards_tickets_but_old_ones_do_not_count() {
        let (tickets, now) = (Tickets::default(), Timestamp::UNIX_EPOCH);
        for _ in 0..MAX_PER_ACCOUNT {
            tickets.issue(ALICE, now).unwrap();
        }
        assert!(tickets.issue(ALICE, now).is_err());
        assert!(tickets.issue(ALICE, now + LIFETIME).is_ok());
    }
}
