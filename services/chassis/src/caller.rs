//! Who calls: access tokens, verified where they are used.

mod keys;
mod verified;

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::clock::Clock;
use crate::problem::Problem;
use keys::Keys;
use verified::{Session, Verified};

/// Whom access tokens are for.
pub const AUDIENCE: &str = "kurz";

/// The longest token that is looked at, in bytes; ours have about 400.
const MAX_TOKEN: usize = 4_096;

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer: the public URL, without a slash at its end.
    pub iss: String,
    /// Whom it is for: [`AUDIENCE`].
    pub aud: String,
    /// The user.
    pub sub: Uuid,
    /// The session in which it was issued.
    pub sid: Uuid,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
}

/// The user behind a verified access token. As an extractor it answers 401 to everybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Who calls.
    pub user_id: Uuid,
    /// The session in which the token was issued.
    pub session_id: Uuid,
}

/// Verifies access tokens. Clones share what they know.
#[derive(Debug, Clone)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuer: String,
    keys: Keys,
    verified: Verified,
    refused: RwLock<HashSet<Uuid>>,
    clock: Clock,
}

impl Verifier {
    /// One that fetches the keys from `jwks_url` when it meets a key that it does not know.
    pub fn remote(jwks_url: Url, issuer: &str, clock: Clock) -> Self {
        Self::new(issuer, Keys::remote(jwks_url), clock)
    }

    /// One that is told the keys by [`Verifier::set_keys`].
    pub fn local(issuer: &str, clock: Clock) -> Self {
        Self::new(issuer, Keys::local(), clock)
    }

    fn new(issuer: &str, keys: Keys, clock: Clock) -> Self {
        let issuer = issuer.trim_end_matches('/').to_owned();
        Self(Arc::new(Inner {
            issuer,
            keys,
            verified: Verified::default(),
            refused: RwLock::default(),
            clock,
        }))
    }

    /// Replaces the keys.
    pub fn set_keys(&self, keys: &JwkSet) {
        self.0.keys.replace(keys);
    }

    /// Refuses every token of `user_id` from now on, also those that have not expired.
    pub fn refuse_subject(&self, user_id: Uuid) {
        self.0
            .refused
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(user_id);
    }

    /// Whose token this is; a 401 if it is nobody's.
    pub async fn verify(&self, token: &str) -> Result<Caller, Problem> {
        if token.len() > MAX_TOKEN {
            return Err(invalid());
        }
        // Read before the key is looked up: what an older set of keys let through is looked at again.
        let generation = self.0.keys.generation();
        let fingerprint = verified::fingerprint(token);
        if let Some(session) = self.0.verified.find(&fingerprint, generation) {
            return self.admit(session);
        }
        let header = decode_header(token).map_err(|_| invalid())?;
        // Said again in the validation: nothing but the algorithm that we sign with gets further.
        if header.alg != Algorithm::EdDSA {
            return Err(invalid());
        }
        let kid = header.kid.ok_or_else(invalid)?;
        let key = self.0.keys.find(&kid).await.ok_or_else(invalid)?;
        let session = self.decode(token, &key)?;
        let caller = self.admit(session)?;
        self.0.verified.keep(fingerprint, generation, session);
        Ok(caller)
    }

    /// What a token says, if its signature, issuer and audience are right.
    fn decode(&self, token: &str, key: &DecodingKey) -> Result<Session, Problem> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.0.issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // In `admit`, by our own clock.
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, key, &validation)
            .map_err(|_| invalid())?
            .claims;
        Ok(Session {
            caller: Caller {
                user_id: claims.sub,
                session_id: claims.sid,
            },
            ends: claims.exp,
        })
    }

    /// Looks at what changes while a token stays as it is: the time, and who is refused.
    fn admit(&self, Session { caller, ends }: Session) -> Result<Caller, Problem> {
        if ends <= self.0.clock.now().as_second() {
            return Err(Problem::unauthorized(
                "the access token has expired: refresh it",
            ));
        }
        let refused = self
            .0
            .refused
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if refused.contains(&caller.user_id) {
            return Err(Problem::unauthorized("the account was closed"));
        }
        Ok(caller)
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Verifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)
            .ok_or_else(|| Problem::unauthorized("an access token is needed: Bearer …"))?;
        Verifier::from_ref(state).verify(token).await
    }
}

/// The token in `Authorization: Bearer …`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// One sentence for every token that is no good: whoever forges learns nothing.
fn invalid() -> Problem {
    Problem::unauthorized("the access token is not valid")
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::testing::{Issuer, PUBLIC_URL};

    #[tokio::test]
    async fn a_token_that_was_verified_is_refused_once_it_is_no_good() {
        let clock = Clock::manual("2026-03-01T12:00:00Z".parse().unwrap());
        let issuer = Issuer::start_at(clock.clone()).await;
        let verifier = Verifier::remote(issuer.jwks_url(), PUBLIC_URL, clock.clone());
        let [ann, ben, eve] = [(); 3].map(|()| Uuid::now_v7());
        let tokens = [ann, ben, eve].map(|user| issuer.token(user));
        for _ in 0..2 {
            for (user, token) in [ann, ben, eve].into_iter().zip(&tokens) {
                assert_eq!(verifier.verify(token).await.unwrap().user_id, user);
            }
        }

        let other = format!("{}x", tokens[0]);
        assert!(verifier.verify(&other).await.is_err(), "another signature");
        verifier.refuse_subject(ann);
        assert!(verifier.verify(&tokens[0]).await.is_err(), "closed");
        verifier.verify(&tokens[1]).await.unwrap();
        clock.advance(SignedDuration::from_mins(15));
        assert!(verifier.verify(&tokens[1]).await.is_err(), "expired");

        let token = issuer.token(eve);
        verifier.verify(&token).await.unwrap();
        verifier.set_keys(&JwkSet { keys: Vec::new() });
        assert!(verifier.verify(&token).await.is_err(), "the key is gone");
    }
}
