use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use chassis::env::Secret;
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Separates these keys from any other use of the same secret.
const PURPOSE: &[u8] = b"kurz visitor key v1";

/// Derives one key for each UTC day from the secret salt, and hashes visitors with it.
///
/// Without the salt nobody can try addresses against a hash, and hashes of two days can't be
/// joined. All redirectors with one salt agree.
#[derive(Debug)]
pub struct VisitorKeys {
    salt: Secret,
    /// The day of the last click and its key. Clicks come in order of time but for a few, so one
    /// key is enough.
    latest: RwLock<(i64, [u8; 16])>,
}

impl VisitorKeys {
    /// Keys from `salt`.
    pub fn new(salt: Secret) -> Self {
        let first = derive(&salt, 0);
        Self {
            salt,
            latest: RwLock::new((0, first)),
        }
    }

    /// The visitor behind `client` and `user_agent` on the day of `at_ms`.
    pub fn hash(&self, client: IpAddr, user_agent: &str, at_ms: i64) -> u64 {
        let key = self.key(at_ms.div_euclid(DAY_MS));
        let mut hasher = SipHasher24::new_with_key(&key);
        match client.to_canonical() {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()),
        }
        // The address has one of two lengths; the separator keeps both apart from the text.
        hasher.write(&[0xff]);
        hasher.write(user_agent.as_bytes());
        hasher.finish()
    }

    fn key(&self, day: i64) -> [u8; 16] {
        let latest = *self.latest.read().unwrap_or_else(PoisonError::into_inner);
        if latest.0 == day {
            return latest.1;
        }
        let key = derive(&self.salt, day);
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = (day, key);
        key
    }
}

fn derive(salt: &Secret, day: i64) -> [u8; 16] {
    let digest = Sha256::new()
        .chain_update(PURPOSE)
        .chain_update(day.to_le_bytes())
        .chain_update(salt.expose().as_bytes())
        .finalize();
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 20_000 * DAY_MS + DAY_MS / 2;

    fn keys(salt: &str) -> VisitorKeys {
        VisitorKeys::new(Secret::from(salt.to_owned()))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_visitor_is_the_same_all_day_and_another_the_next() {
        let keys = keys("a salt of some length");
        let noon = keys.hash(address("192.0.2.1"), "Firefox", NOON);
        assert_eq!(
            noon,
            keys.hash(address("192.0.2.1"), "Firefox", NOON + DAY_MS / 2 - 1)
        );
        assert_ne!(
            noon,
            keys.hash(address("192.0.2.1"), "Firefox", NOON + DAY_MS / 2)
        );
        assert_eq!(
            noon,
            keys.hash(address("192.0.2.1"), "Firefox", NOON),
            "the clock went back"
        );
    }

    #[test]
    fn another_salt_another_address_or_another_agent_is_another_visitor() {
        let keys_a = keys("a salt of some length");
        let noon = keys_a.hash(address("192.0.2.1"), "Firefox", NOON);
        let other = keys("another salt, as long");
        assert_ne!(noon, other.hash(address("192.0.2.1"), "Firefox", NOON));
        assert_ne!(noon, keys_a.hash(address("192.0.2.2"), "Firefox", NOON));
        assert_ne!(noon, keys_a.hash(address("192.0.2.1"), "Safari", NOON));
    }

    #[test]
    fn two_redirectors_with_one_salt_agree() {
        let one = keys("a salt of some length").hash(address("2001:db8::1"), "", NOON);
        let two = keys("a salt of some length").hash(address("2001:db8::1"), "", NOON);
        assert_eq!(one, two);
    }

    #[test]
    fn an_address_is_one_address_in_both_notations() {
        let keys = keys("a salt of some length");
        let plain = keys.hash(address("192.0.2.1"), "Firefox", NOON);
        assert_eq!(
            plain,
            keys.hash(address("::ffff:192.0.2.1"), "Firefox", NOON)
        );
    }
}
