//! What the feed says, read from its first message with a consumer of its own.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::time::timeout;

use super::drain::Counted;
use super::nats::Nats;

/// The stream of the feed.
const FEED: &str = "FEED";

/// The header with the identity of a click.
const ID: &str = "ce-id";

/// How long nothing may come until the feed is over: it is written behind the count.
const SILENCE: Duration = Duration::from_secs(8);

/// All messages of the feed.
#[derive(Debug, Clone, Default)]
pub struct Feed {
    messages: usize,
    ids: HashSet<String>,
    referrers: Counted,
}

/// The feed beside what is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// Messages of clicks that say where they come from, as all of the harness do.
    pub clicks: u64,
    /// Counted, and not in the feed as often.
    pub missing: u64,
    /// More often in the feed than counted.
    pub surplus: u64,
    /// Messages whose identity another one has.
    pub repeated: u64,
}

impl Feed {
    /// Reads it to its end.
    pub async fn read(nats: &Nats) -> anyhow::Result<Self> {
        let stream = nats.jetstream().await?.get_stream(FEED).await?;
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::All,
            ..OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await?;
        let mut messages = consumer.messages().await?;
        let mut feed = Self::default();
        while let Ok(Some(message)) = timeout(SILENCE, messages.next()).await {
            feed.take(&message?)?;
        }
        Ok(feed)
    }

    fn take(&mut self, message: &Message) -> anyhow::Result<()> {
        let headers = message.headers.as_ref();
        let id = headers.and_then(|headers| headers.get(ID));
        let id = id.context("a message of the feed has an identity")?;
        let click: Value = serde_json::from_slice(&message.payload)?;
        let referrer = click["referrer"].as_str().unwrap_or_default();
        self.add(id.as_str(), referrer);
        Ok(())
    }

    fn add(&mut self, id: &str, referrer: &str) {
        self.messages += 1;
        self.ids.insert(id.to_owned());
        // The HEAD requests of the beginning come from nowhere and are no clicks.
        if !referrer.is_empty() {
            *self.referrers.entry(referrer.to_owned()).or_default() += 1;
        }
    }

    /// Compares it with what is counted.
    pub fn compare(&self, counted: &Counted) -> Compared {
        let more = |these: &Counted, those: &Counted| -> u64 {
            let those = |referrer| those.get(referrer).copied().unwrap_or(0);
            these
                .iter()
                .map(|(referrer, times)| times.saturating_sub(those(referrer)))
                .sum()
        };
        Compared {
            clicks: self.referrers.values().sum(),
            missing: more(counted, &self.referrers),
            surplus: more(&self.referrers, counted),
            repeated: (self.messages - self.ids.len()) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_feed_has_each_counted_click_once_or_says_which_it_has_not() {
        let mut feed = Feed::default();
        for (id, referrer) in [
            ("a-0", ""),
            ("a-1", "once"),
            ("a-2", "twice"),
            ("a-3", "twice"),
            ("a-3", "never"),
        ] {
            feed.add(id, referrer);
        }
        let counted = ["once", "twice", "absent"].map(|name| (name.to_owned(), 1));
        let compared = feed.compare(&HashMap::from(counted));
        let expected = Compared {
            clicks: 4,
            missing: 1,
            surplus: 2,
            repeated: 1,
        };
        assert_eq!(compared, expected);
    }
}
