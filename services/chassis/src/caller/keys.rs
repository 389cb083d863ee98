use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::JwkSet;
use tokio::sync::Mutex;
use url::Url;

/// How often an unknown key may make us ask for the keys again: forged tokens must not turn into
/// a flood of requests.
const REFETCH: Duration = Duration::from_secs(5);

/// How long the keys may take to come.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The largest set of keys that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// The keys that sign tokens, by their ids.
#[derive(Debug)]
pub(super) struct Keys {
    known: RwLock<HashMap<String, DecodingKey>>,
    /// How often they were replaced.
    generation: AtomicU64,
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    url: Url,
    client: reqwest::Client,
    /// When we asked last. Held while we ask, so that many callers make one request.
    asked: Mutex<Option<Instant>>,
}

impl Keys {
    pub(super) fn local() -> Self {
        Self {
            known: RwLock::default(),
            generation: AtomicU64::default(),
            source: None,
        }
    }

    pub(super) fn remote(url: Url) -> Self {
        let source = Source {
            url,
            client: reqwest::Client::new(),
            asked: Mutex::new(None),
        };
        Self {
            known: RwLock::default(),
            generation: AtomicU64::default(),
            source: Some(source),
        }
    }

    pub(super) fn replace(&self, keys: &JwkSet) {
        let usable = keys.keys.iter().filter_map(|jwk| {
            let kid = jwk.common.key_id.clone()?;
            Some((kid, DecodingKey::try_from(jwk).ok()?))
        });
        let usable = usable.collect();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = usable;
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Which set of keys there is: another number after they were replaced.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The key, if need be after asking for the keys once more.
    pub(super) async fn find(&self, kid: &str) -> Option<DecodingKey> {
        if let Some(key) = self.known(kid) {
            return Some(key);
        }
        let source = self.source.as_ref()?;
        let mut asked = source.asked.lock().await;
        // Somebody else may have asked while we waited.
        if let Some(key) = self.known(kid) {
            return Some(key);
        }
        if asked.is_some_and(|at| at.elapsed() < REFETCH) {
            return None;
        }
        match source.fetch().await {
            Ok(keys) => {
                self.replace(&keys);
                *asked = Some(Instant::now());
            }
            // Not counted as asked: auth may be starting, and its first token must work.
            Err(error) => tracing::warn!(error = format!("{error:#}"), "no token keys"),
        }
        self.known(kid)
    }

    fn known(&self, kid: &str) -> Option<DecodingKey> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(kid)
            .cloned()
    }
}

impl Source {
    async fn fetch(&self) -> anyhow::Result<JwkSet> {
        let response = self
            .client
            .get(self.url.clone())
            .timeout(TIMEOUT)
            .send()
            .await?
            .error_for_status()?;
        let body = response.bytes().await?;
        anyhow::ensure!(
            body.len() <= MAX_BYTES,
            "the key set has {} bytes",
            body.len()
        );
        serde_json::from_slice(&body).context("not a JSON web key set")
    }
}
