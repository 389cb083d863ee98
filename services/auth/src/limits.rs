//! How often somebody may try: bounded attempts in bounded memory.

mod limiter;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

pub use limiter::Rate;

use crate::domain::Username;
use crate::error::{Error, Result};
use limiter::Limiter;

/// How many attempts are allowed. An attempt that proves the password is given back to the
/// account, and so is one that nobody looked at: only failures use up what the account has.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Attempts from one client address, against any account, right or wrong.
    pub client: Rate,
    /// Failed attempts from one client address against one account.
    pub client_and_user: Rate,
    /// Failed attempts against one account, from anywhere. Wider than `client_and_user`, so that
    /// one client can't lock somebody else out.
    pub user: Rate,
    /// New accounts from one client address.
    pub registrations: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // An office behind one address that signs in at nine.
            client: Rate {
                burst: 60,
                every: Duration::from_secs(1),
            },
            // Somebody who tries all passwords they remember; then 2,880 guesses a day.
            client_and_user: Rate {
                burst: 10,
                every: Duration::from_secs(30),
            },
            // 8,640 guesses a day from the whole world.
            user: Rate {
                burst: 100,
                every: Duration::from_secs(10),
            },
            // A class that makes its accounts in one lesson.
            registrations: Rate {
                burst: 60,
                every: Duration::from_secs(10),
            },
        }
    }
}

/// Keys that a limiter remembers at most: some 2 MiB each when full.
const MAX_KEYS: usize = 100_000;

/// The limits of a running service.
pub struct Gate {
    client: Limiter,
    client_and_user: Limiter,
    user: Limiter,
    registrations: Limiter,
}

/// An attempt to prove a password that was let through.
#[must_use]
pub struct Attempt {
    client: Client,
    user: String,
}

/// Who tries: an IPv4 address, or the /64 network that one IPv6 customer has to themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Client(IpAddr);

impl Gate {
    /// All limits untouched.
    pub fn new(limits: &Limits) -> Self {
        Self {
            client: Limiter::new(limits.client, MAX_KEYS),
            client_and_user: Limiter::new(limits.client_and_user, MAX_KEYS),
            user: Limiter::new(limits.user, MAX_KEYS),
            registrations: Limiter::new(limits.registrations, MAX_KEYS),
        }
    }

    /// Lets an attempt through, or says when to come back. `name` is what the client sent, or
    /// whose account it is: unknown and malformed names are limited like others.
    pub fn attempt(&self, address: IpAddr, name: &str, now_ms: i64) -> Result<Attempt> {
        let client = Client::from(address);
        let user = Username::parse(name).map_or_else(|_| name.to_owned(), |name| name.folded());
        // From narrow blame to wide: who is refused for themselves uses up nothing of the account.
        self.client
            .take(client, now_ms)
            .and_then(|()| self.client_and_user.take((client, &user), now_ms))
            .and_then(|()| self.user.take(&user, now_ms))
            .map_err(Error::TooManyAttempts)?;
        Ok(Attempt { client, user })
    }

    /// The password was right, or nobody looked at it: the account gets its attempt back.
    pub fn give_back(&self, attempt: &Attempt) {
        self.client_and_user
            .give_back((attempt.client, &attempt.user));
        self.user.give_back(&attempt.user);
    }

    /// The attempt failed with `error`; if it was refused before anybody looked at the password, the
    /// account gets it back.
    pub fn excuse(&self, attempt: &Attempt, error: &Error) {
        if matches!(error, Error::Busy) {
            self.give_back(attempt);
        }
    }

    /// Lets a registration through, or says when to come back.
    pub fn register(&self, address: IpAddr, now_ms: i64) -> Result<()> {
        self.registrations
            .take(Client::from(address), now_ms)
            .map_err(Error::TooManyAttempts)
    }
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
                address.to_bits() & !u128::from(u64::MAX),
            )),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn refused(gate: &Gate, from: &str, name: &str) -> bool {
        gate.attempt(address(from), name, 0).is_err()
    }

    fn exhaust(gate: &Gate, from: &str, name: &str) {
        for _ in 0..Limits::default().client_and_user.burst {
            assert!(!refused(gate, from, name));
        }
        assert!(refused(gate, from, name));
    }

    #[test]
    fn one_client_can_not_lock_somebody_out_elsewhere() {
        let gate = Gate::new(&Limits::default());
        exhaust(&gate, "192.0.2.1", "ada");
        assert!(
            refused(&gate, "192.0.2.1", "ADA"),
            "another spelling is no other account"
        );
        assert!(!refused(&gate, "192.0.2.2", "ada"));
        assert!(!refused(&gate, "192.0.2.1", "grace"));
    }

    #[test]
    fn many_clients_together_are_limited_too() {
        let gate = Gate::new(&Limits::default());
        let burst = Limits::default().user.burst;
        for host in 0..burst {
            assert!(!refused(&gate, &format!("192.0.2.{host}"), "ada"));
        }
        assert!(refused(&gate, "198.51.100.1", "ada"));
    }

    #[test]
    fn right_passwords_use_up_nothing_of_the_account() {
        let gate = Gate::new(&Limits::default());
        for host in 0..200 {
            let attempt = gate
                .attempt(address(&format!("192.0.2.{host}")), "ada", 0)
                .unwrap();
            gate.give_back(&attempt);
        }
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let gate = Gate::new(&Limits::default());
        exhaust(&gate, "2001:db8::1", "ada");
        assert!(refused(&gate, "2001:db8::ffff:1", "ada"));
        assert!(!refused(&gate, "2001:db8:0:1::1", "ada"));
        exhaust(&gate, "::ffff:192.0.2.1", "grace");
        assert!(
            refused(&gate, "192.0.2.1", "grace"),
            "the same address, written as IPv6"
        );
    }
}
