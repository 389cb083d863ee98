use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use tokio::net::TcpListener;
use url::Url;
use uuid::Uuid;

use super::PUBLIC_URL;
use crate::caller::{AUDIENCE, Claims};
use crate::clock::Clock;

/// The key that signs; its only use is in tests.
const SEED: [u8; 32] = [7; 32];

/// What PKCS #8 puts before an Ed25519 seed (RFC 8410).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

/// A stand-in for auth: it serves a key set and signs tokens with it.
#[derive(Debug)]
pub struct Issuer {
    jwks_url: Url,
    clock: Clock,
    server: tokio::task::JoinHandle<()>,
}

/// Tokens that must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forged {
    /// `alg: none`, unsigned.
    AlgorithmNone,
    /// HS256 with the public key as its secret.
    HmacWithPublicKey,
    /// Signed well, but it has expired.
    Expired,
    /// Signed well, by somebody else's name.
    OtherIssuer,
    /// Signed well, for somebody else.
    OtherAudience,
    /// Signed by another key under our key's id.
    OtherKey,
    /// Signed by a key that nobody knows.
    UnknownKey,
}

impl Forged {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AlgorithmNone,
        Self::HmacWithPublicKey,
        Self::Expired,
        Self::OtherIssuer,
        Self::OtherAudience,
        Self::OtherKey,
        Self::UnknownKey,
    ];
}

impl Issuer {
    /// Starts one by the system's clock.
    pub async fn start() -> Self {
        Self::start_at(Clock::system()).await
    }

    /// Starts one whose tokens begin at the time of `clock`.
    pub async fn start_at(clock: Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let keys = JwkSet {
            keys: vec![public(&key(SEED))],
        };
        let router = Router::new().route("/jwks.json", get(move || async move { Json(keys) }));
        let server = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("it serves until it is dropped");
        });
        let jwks_url = format!("http://{address}/jwks.json")
            .parse()
            .expect("it is a URL");
        Self {
            jwks_url,
            clock,
            server,
        }
    }

    /// Where the key set is.
    pub fn jwks_url(&self) -> Url {
        self.jwks_url.clone()
    }

    /// A token of `user_id` that is good for 15 minutes.
    pub fn token(&self, user_id: Uuid) -> String {
        sign(&self.claims(user_id), &key(SEED), "test")
    }

    /// A token of `user_id` that is no good.
    pub fn forged(&self, user_id: Uuid, how: Forged) -> String {
        let good = self.claims(user_id);
        match how {
            Forged::AlgorithmNone => {
                let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT","kid":"test"}"#);
                let claims = serde_json::to_vec(&good).expect("plain data encodes");
                format!("{header}.{}.", URL_SAFE_NO_PAD.encode(claims))
            }
            Forged::HmacWithPublicKey => {
                let jwk = serde_json::to_value(public(&key(SEED))).expect("plain data encodes");
                let x = jwk["x"].as_str().expect("an Ed25519 key has an x");
                let secret = URL_SAFE_NO_PAD.decode(x).expect("it is base64url");
                let header = Header {
                    kid: Some("test".to_owned()),
                    ..Header::new(Algorithm::HS256)
                };
                encode(&header, &good, &EncodingKey::from_secret(&secret)).expect("it signs")
            }
            Forged::Expired => {
                let (iat, exp) = (good.iat - 1_000, good.iat - 100);
                sign(&Claims { iat, exp, ..good }, &key(SEED), "test")
            }
            Forged::OtherIssuer => {
                let iss = "https://elsewhere.example".to_owned();
                sign(&Claims { iss, ..good }, &key(SEED), "test")
            }
            Forged::OtherAudience => sign(
                &Claims {
                    aud: "other".to_owned(),
                    ..good
                },
                &key(SEED),
                "test",
            ),
            Forged::OtherKey => sign(&good, &key([9; 32]), "test"),
            Forged::UnknownKey => sign(&good, &key([9; 32]), "nobody"),
        }
    }

    fn claims(&self, user_id: Uuid) -> Claims {
        let iat = self.clock.now().as_second();
        Claims {
            iss: PUBLIC_URL.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user_id,
            sid: Uuid::now_v7(),
            iat,
            exp: iat + 15 * 60,
        }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn key(seed: [u8; 32]) -> EncodingKey {
    EncodingKey::from_ed_der(&[&PKCS8[..], &seed].concat())
}

fn public(key: &EncodingKey) -> Jwk {
    let mut jwk = Jwk::from_encoding_key(key, Algorithm::EdDSA).expect("it is an Ed25519 key");
    jwk.common.key_id = Some("test".to_owned());
    jwk
}

fn sign(claims: &Claims, key: &EncodingKey, kid: &str) -> String {
    let header = Header {
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::EdDSA)
    };
    encode(&header, claims, key).expect("it signs")
}
