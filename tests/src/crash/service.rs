use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Context as _;
use rand::Rng as _;

use super::clock::Clock;
use super::nats::Nats;
use super::process::Process;

/// Ports are drawn from below those that systems give to connections, so that nobody takes the port
/// of a process while it is dead.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A process of ours.
pub struct Service {
    /// The process.
    pub process: Process,
    /// Its clock, if it can be set.
    pub clock: Option<Clock>,
    /// Its public listener.
    pub public: SocketAddr,
    /// The base of its admin listener.
    pub admin: String,
}

/// What every service needs to know.
pub struct Place<'a> {
    /// Where logs go.
    pub folder: &'a Path,
    /// The bus.
    pub nats: &'a Nats,
    /// Where auth listens.
    pub auth: SocketAddr,
    /// libfaketime, if clocks are set wrong.
    pub faketime: Option<&'a str>,
}

impl Place<'_> {
    /// A service that does not run yet. `extra` are the variables that only it knows. Its clock is
    /// given if it can be set.
    pub fn service(
        &self,
        name: &'static str,
        label: &str,
        public: SocketAddr,
        extra: &[(&str, String)],
    ) -> anyhow::Result<Service> {
        let clock = self.faketime.map(|library| {
            let clock = Clock::new(self.folder.join(label).with_extension("clock"))?;
            anyhow::Ok((clock.variables(library), clock))
        });
        let (faked, clock) = clock.transpose()?.unzip();
        let admin = free_address()?;
        let common = [
            ("KURZ_LISTEN", public.to_string()),
            ("KURZ_ADMIN_LISTEN", admin.to_string()),
            ("KURZ_PUBLIC_URL", "http://kurz.test".to_owned()),
            ("KURZ_NATS_URL", self.nats.url()),
            ("KURZ_NATS_REPLICAS", self.nats.nodes.len().to_string()),
            (
                "KURZ_JWKS_URL",
                format!("http://{}/auth/.well-known/jwks.json", self.auth),
            ),
            ("KURZ_LOG", "info".to_owned()),
        ];
        let faked = faked.unwrap_or_default();
        let variables = common.iter().chain(extra).chain(&faked);
        let variables = variables.map(|(name, value)| ((*name).to_owned(), value.clone()));
        let log = self.folder.join(label).with_extension("log");
        let process = Process::new(name, label.to_owned(), Vec::new(), variables.collect(), log);
        Ok(Service {
            process,
            clock,
            public,
            admin: format!("http://{admin}"),
        })
    }
}

/// An address on this machine that nobody listens on.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    static FIRST: OnceLock<u16> = OnceLock::new();
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = *FIRST.get_or_init(|| rand::rng().random_range(PORTS));
    for _ in PORTS {
        let next = NEXT.fetch_add(1, Ordering::SeqCst);
        let port = PORTS.start + (first - PORTS.start + next) % (PORTS.end - PORTS.start);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    None.context("no port is free")
}
