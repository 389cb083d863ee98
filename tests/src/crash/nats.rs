use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use async_nats::jetstream;
use tokio::net::{TcpListener, TcpStream};

use super::process::Process;
use super::service::free_address;
use super::wall::Wall;

/// How long a server may take until it listens.
const READY: Duration = Duration::from_secs(30);

/// How often to look.
const POLL: Duration = Duration::from_millis(20);

/// The duplicate window of `CLICKS` while the harness runs: shorter than an outage, so that nothing
/// can rest on it. Two minutes is what NATS takes by default.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(1);

/// How long the cluster may take to say who leads.
const LEADER: Duration = Duration::from_secs(5);

/// The stream of clicks.
const CLICKS: &str = "CLICKS";

/// The bus: one nats-server, or a cluster.
pub struct Nats {
    /// Its servers.
    pub nodes: Vec<Process>,
    /// Between them.
    pub wall: Wall,
    addresses: Vec<SocketAddr>,
}

impl Nats {
    /// Starts it.
    pub async fn start(folder: &Path, nodes: usize) -> anyhow::Result<Self> {
        let mut nats = Self {
            nodes: Vec::new(),
            wall: Wall::new(),
            addresses: Vec::new(),
        };
        let mut doors = Vec::new();
        for node in 0..nodes {
            let (door, route) = (free_address()?, free_address()?);
            nats.wall.carry(TcpListener::bind(door).await?, node, route);
            doors.push((door, route));
        }
        for node in 0..nodes {
            let address = free_address()?;
            let label = format!("nats-server-{node}");
            let store = folder.join(&label);
            let mut text = format!(
                "server_name: n{node}\nlisten: \"{address}\"\njetstream {{ store_dir: \"{}\" }}\n",
                store.display()
            );
            if nodes > 1 {
                text.push_str(&cluster(node, &doors));
            }
            let config = folder.join(&label).with_extension("conf");
            std::fs::write(&config, text)?;
            let program = super::program::nats_server().to_string_lossy().into_owned();
            let mut process = Process::new(
                "nats-server",
                label.clone(),
                vec!["--config".into(), config.into_os_string()],
                vec![("KURZ_NATS_SERVER".to_owned(), program)],
                folder.join(label).with_extension("log"),
            );
            process.start()?;
            nats.nodes.push(process);
            nats.addresses.push(address);
        }
        for node in 0..nodes {
            nats.ready(node)
                .await
                .with_context(|| nats.nodes[node].last_words())?;
        }
        Ok(nats)
    }

    /// The addresses of all servers.
    pub fn url(&self) -> String {
        let urls: Vec<_> = self
            .addresses
            .iter()
            .map(|address| format!("nats://{address}"))
            .collect();
        urls.join(",")
    }

    /// Waits until a server listens.
    pub async fn ready(&self, index: usize) -> anyhow::Result<()> {
        let started = Instant::now();
        while TcpStream::connect(self.addresses[index]).await.is_err() {
            ensure!(
                started.elapsed() < READY,
                "nats-server does not listen within {READY:?}"
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Shortens the duplicate window of the clicks.
    pub async fn shorten_duplicate_window(&self) -> anyhow::Result<()> {
        let jetstream = self.jetstream().await?;
        let started = Instant::now();
        // analytics makes it, and may be ready before.
        let stream = loop {
            match jetstream.get_stream(CLICKS).await {
                Ok(stream) => break stream,
                Err(error) => ensure!(started.elapsed() < READY, "no stream {CLICKS}: {error}"),
            }
            tokio::time::sleep(POLL).await;
        };
        let mut config = stream.cached_info().config.clone();
        config.duplicate_window = DUPLICATE_WINDOW;
        jetstream.update_stream(config).await?;
        Ok(())
    }

    /// The server that leads the stream of clicks; none if nobody says so in time.
    pub async fn leader(&self) -> Option<usize> {
        let asking = async {
            let stream = self.jetstream().await.ok()?.get_stream(CLICKS).await.ok()?;
            let leader = stream.cached_info().cluster.as_ref()?.leader.as_ref()?;
            leader.strip_prefix('n')?.parse().ok()
        };
        tokio::time::timeout(LEADER, asking).await.ok().flatten()
    }

    /// A new connection.
    pub async fn jetstream(&self) -> anyhow::Result<jetstream::Context> {
        let servers: Vec<_> = self.url().split(',').map(str::to_owned).collect();
        Ok(jetstream::new(async_nats::connect(servers).await?))
    }
}

/// The part of a configuration that makes a server one of several. Servers know of each other only
/// the doors in the wall.
fn cluster(node: usize, doors: &[(SocketAddr, SocketAddr)]) -> String {
    let (door, route) = doors[node];
    let others: Vec<_> = doors
        .iter()
        .filter(|(other, _)| *other != door)
        .map(|(other, _)| format!("\"nats://{other}\""))
        .collect();
    format!(
        "cluster {{ name: crash, listen: \"{route}\", advertise: \"{door}\", routes: [{}] }}\n",
        others.join(", ")
    )
}
