//! The keys that sign access tokens, and the tokens.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, ensure};
use chassis::caller::{AUDIENCE, Claims, Verifier};
use chassis::clock::Clock;
use jiff::SignedDuration;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::Result;
use crate::store::{KeyRole, Store, StoredKey};

/// How long an access token is good for.
///
/// Nobody asks auth about a token, so a session that ends is believed elsewhere for this long.
pub const ACCESS_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// How much longer than a token's lifetime a retired key is published: clocks differ a little,
/// and whoever has just fetched the keys may hold them for a while.
const KEY_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// What stands before the 32 bytes of an Ed25519 seed in PKCS #8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Signs access tokens. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing {
    store: Store,
    clock: Clock,
    issuer: Arc<str>,
    verifier: Verifier,
    keys: Arc<RwLock<Arc<Keys>>>,
    /// Held while the keys change, so that memory and database change in the same order.
    changing: Arc<tokio::sync::Mutex<()>>,
}

/// What a rotation left behind.
#[derive(Debug)]
pub struct Rotation {
    /// The key that signs from now on.
    pub current: String,
    /// The key that will sign after the next rotation.
    pub next: String,
    /// Keys that sign no more, but whose tokens may not have expired.
    pub retired: usize,
}

struct Keys {
    kid: String,
    signer: EncodingKey,
    published: Vec<Published>,
}

struct Published {
    jwk: Jwk,
    role: KeyRole,
    retired_at_ms: Option<i64>,
}

impl KeyRing {
    /// Loads the keys, or makes them at the very first start; tells `verifier` about them.
    pub async fn open(
        store: Store,
        clock: Clock,
        issuer: &str,
        verifier: Verifier,
    ) -> anyhow::Result<Self> {
        let stored = store.load_or_make_keys(clock.now_ms()).await?;
        let keys = Arc::new(Keys::from_stored(stored)?);
        let ring = Self {
            store,
            clock,
            issuer: issuer.into(),
            verifier,
            keys: Arc::new(RwLock::new(Arc::clone(&keys))),
            changing: Arc::default(),
        };
        ring.verifier.set_keys(&ring.jwks());
        Ok(ring)
    }

    /// An access token of this user in this session.
    pub fn sign(&self, user_id: Uuid, session_id: Uuid) -> anyhow::Result<String> {
        let keys = self.keys();
        let issued_at = self.clock.now();
        let claims = Claims {
            iss: self.issuer.to_string(),
            aud: AUDIENCE.to_owned(),
            sub: user_id,
            sid: session_id,
            iat: issued_at.as_second(),
            exp: issued_at.as_second() + ACCESS_TOKEN_LIFETIME.as_secs(),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(keys.kid.clone());
        jsonwebtoken::encode(&header, &claims, &keys.signer).context("signing an access token")
    }

    /// The public keys: the one that signs, the one that will, and those whose tokens are
    /// still around.
    pub fn jwks(&self) -> JwkSet {
        let oldest = self.oldest_useful();
        let keys = self.keys();
        let published = keys.published.iter();
        let useful = published.filter(|key| key.retired_at_ms.is_none_or(|at| at > oldest));
        JwkSet {
            keys: useful.map(|key| key.jwk.clone()).collect(),
        }
    }

    /// Signs with the next key from now on. Tokens of the present one stay good.
    pub async fn rotate(&self) -> Result<Rotation> {
        let _alone = self.changing.lock().await;
        let stored = self.store.rotate_keys(self.clock.now_ms()).await?;
        let keys = self.adopt(stored)?;
        let of = |role| keys.published.iter().filter(move |key| key.role == role);
        Ok(Rotation {
            current: keys.kid.clone(),
            next: of(KeyRole::Next)
                .filter_map(|key| key.jwk.common.key_id.clone())
                .collect(),
            retired: of(KeyRole::Retired).count(),
        })
    }

    /// Forgets keys that signed no token that can still be good.
    pub async fn drop_outlived(&self) -> Result<()> {
        let oldest = self.oldest_useful();
        let outlived = |key: &Published| key.retired_at_ms.is_some_and(|at| at <= oldest);
        if !self.keys().published.iter().any(outlived) {
            return Ok(());
        }
        let _alone = self.changing.lock().await;
        let stored = self.store.drop_retired_keys(oldest).await?;
        self.adopt(stored)?;
        Ok(())
    }

    fn adopt(&self, stored: Vec<StoredKey>) -> anyhow::Result<Arc<Keys>> {
        let keys = Arc::new(Keys::from_stored(stored)?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&keys);
        self.verifier.set_keys(&self.jwks());
        Ok(keys)
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn oldest_useful(&self) -> i64 {
        let kept = ACCESS_TOKEN_LIFETIME + KEY_GRACE;
        self.clock.now_ms().saturating_sub(kept.as_secs() * 1_000)
    }
}

impl Keys {
    fn from_stored(stored: Vec<StoredKey>) -> anyhow::Result<Self> {
        let mut signing = None;
        let mut published = Vec::with_capacity(stored.len());
        for key in stored {
            let signer = signer(&key.seed)?;
            published.push(Published {
                jwk: public(&signer, &key.kid)?,
                role: key.role,
                retired_at_ms: key.retired_at_ms,
            });
            if key.role == KeyRole::Current {
                signing = Some((key.kid, signer));
            }
        }
        let (kid, signer) = signing.context("the database has no current signing key")?;
        Ok(Self {
            kid,
            signer,
            published,
        })
    }
}

fn signer(seed: &[u8]) -> anyhow::Result<EncodingKey> {
    ensure!(
        seed.len() == 32,
        "a signing key of {} bytes in the database",
        seed.len()
    );
    let mut pkcs8 = Zeroizing::new(Vec::with_capacity(PKCS8_PREFIX.len() + seed.len()));
    pkcs8.extend_from_slice(&PKCS8_PREFIX);
    pkcs8.extend_from_slice(seed);
    Ok(EncodingKey::from_ed_der(&pkcs8))
}

fn public(signer: &EncodingKey, kid: &str) -> anyhow::Result<Jwk> {
    let mut jwk = Jwk::from_encoding_key(signer, Algorithm::EdDSA).context("reading a key")?;
    jwk.common.key_id = Some(kid.to_owned());
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok(jwk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_key_is_the_one_of_rfc_8037() {
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec,
            0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03,
            0x1c, 0xae, 0x7f, 0x60,
        ];
        let jwk = serde_json::to_value(public(&signer(&seed).unwrap(), "a").unwrap()).unwrap();
        assert_eq!(
            jwk,
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "a",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            })
        );
    }

    #[test]
    fn a_seed_of_another_length_is_a_fault() {
        assert!(signer(&[0; 31]).is_err());
    }
}
