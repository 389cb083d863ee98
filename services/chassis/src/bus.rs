//! NATS: one connection, streams that are declared, and messages followed in order.

mod declare;
mod follow;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream;
use async_nats::{Client, ConnectOptions, ServerAddr};

use crate::shutdown::Shutdown;

pub use declare::{Declared, epoch};
pub use follow::{Error, Follow, Probe, Start, StoredMessage};

/// How long to wait between two tries to reach NATS, at most, which is how late everything may go on
/// when NATS is back. The client would wait for up to 4 seconds.
const RECONNECT: Duration = Duration::from_millis(500);

/// Where the bus is, and who we are there.
#[derive(Debug, Clone)]
pub struct BusConfig {
    /// One or more server addresses, separated by commas.
    pub url: String,
    /// A file with user credentials (`.creds`) or with an nkey seed; none for an open server.
    pub credentials: Option<PathBuf>,
    /// How many replicas the streams have that this service declares.
    pub replicas: usize,
}

/// The connection to NATS. Clones share it.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
    jetstream: jetstream::Context,
    replicas: usize,
    shutdown: Shutdown,
}

impl Bus {
    /// Connects as `name`. Returns at once also while NATS is away: the connection is made, and
    /// made again, in the background. An unreadable address or credentials file is an error.
    pub async fn connect(
        config: &BusConfig,
        name: &str,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let servers = config
            .url
            .split(',')
            .map(|server| server.trim().parse::<ServerAddr>())
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("{:?} is not the address of a NATS server", config.url))?;
        let client = options(config)
            .await?
            .name(name)
            // Permissions can then give each service its own inbox and nobody else's.
            .custom_inbox_prefix(format!("_INBOX_{name}"))
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(reconnect_delay)
            .event_callback(|event| async move { tracing::info!(%event, "NATS connection") })
            .connect(servers)
            .await
            .context("can't connect to NATS")?;
        Ok(Self {
            jetstream: jetstream::new(client.clone()),
            client,
            replicas: config.replicas,
            shutdown: shutdown.clone(),
        })
    }

    /// The connection.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its streams.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// Whether a server is there now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }
}

/// How long to wait before the try with this number: the first is made at once, and each of the
/// others waits twice as long as the one before, from 2 milliseconds to [`RECONNECT`].
fn reconnect_delay(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    match doublings {
        0 => Duration::ZERO,
        _ => Duration::from_millis(2_u64.saturating_pow(doublings)).min(RECONNECT),
    }
}

async fn options(config: &BusConfig) -> anyhow::Result<ConnectOptions> {
    let Some(path) = &config.credentials else {
        return Ok(ConnectOptions::new());
    };
    let text = tokio::fs::read_to_string(path)
        .await
        .with_context(|| format!("can't read the NATS credentials in {}", path.display()))?;
    // A seed is one line that begins with S; credentials are blocks between dashes.
    if text.trim_start().starts_with('S') {
        Ok(ConnectOptions::with_nkey(text.trim().to_owned()))
    } else {
        ConnectOptions::with_credentials(&text)
            .with_context(|| format!("{} holds no NATS credentials", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_to_reconnect_are_soon_rare_and_never_far_apart() {
        let delays: Vec<_> = (0..=10)
            .map(|attempt| reconnect_delay(attempt).as_millis())
            .collect();
        assert_eq!(delays, [0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 500]);
        assert_eq!(reconnect_delay(usize::MAX), RECONNECT);
    }
}
