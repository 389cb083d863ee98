use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chassis::bus::BusConfig;
use chassis::client_address::TrustedProxies;
use chassis::env::Env;
use chassis::service::Common;
use chassis::shutdown::Shutdown;
use chassis::telemetry;
use url::Url;

/// What all four services are told, and where everything is kept.
#[derive(Debug)]
pub struct Settings {
    /// `KURZ_LISTEN`: where the public listener is; 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// `KURZ_ADMIN_LISTEN`: where health and metrics are; 127.0.0.1:9090.
    pub admin_listen: SocketAddr,
    /// `KURZ_PUBLIC_URL`: the base of short URLs; without it, the address of the listener.
    pub public_url: Option<Url>,
    /// `KURZ_DATA`: the folder of everything that is kept; ./data.
    pub data: PathBuf,
    /// Where the bus is.
    pub bus: BusPlace,
    /// `KURZ_TRUSTED_PROXIES`.
    pub trusted_proxies: TrustedProxies,
    /// `KURZ_STOP_TIMEOUT`: how long workers may flush at a stop.
    pub stop_timeout: Duration,
    /// `KURZ_LOG` and its companions.
    pub telemetry: telemetry::Config,
}

/// Where the bus is.
#[derive(Debug)]
pub enum BusPlace {
    /// A child process of this one.
    Child {
        /// `KURZ_NATS_SERVER`: the program; else it is looked for on PATH.
        program: PathBuf,
        /// `KURZ_NATS_LISTEN`: where it listens; 127.0.0.1:4222. Port 0 is any free one.
        listen: SocketAddr,
    },
    /// Somebody else runs it (`KURZ_NATS_URL`).
    Elsewhere(BusConfig),
}

impl Settings {
    /// `KURZ_DATA` alone, for commands.
    pub fn data(env: &mut Env) -> PathBuf {
        env.or("KURZ_DATA", PathBuf::from("./data"))
    }

    /// Reads them; faults are noted in `env`.
    pub fn from_env(env: &mut Env) -> Self {
        let local = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let named = env.optional::<String>("KURZ_PUBLIC_URL").is_some();
        let public_url = if named { Common::public_url(env) } else { None };
        let replicas = Common::replicas(env);
        let bus = match env.optional::<String>("KURZ_NATS_URL") {
            Some(url) => BusPlace::Elsewhere(BusConfig {
                url,
                credentials: env.optional("KURZ_NATS_CREDENTIALS"),
                replicas,
            }),
            None => BusPlace::Child {
                program: env.or("KURZ_NATS_SERVER", PathBuf::from("nats-server")),
                listen: env.or("KURZ_NATS_LISTEN", local(4222)),
            },
        };
        Self {
            listen: env.or("KURZ_LISTEN", local(8080)),
            admin_listen: Common::admin_listen(env),
            public_url,
            data: Self::data(env),
            bus,
            trusted_proxies: env.or("KURZ_TRUSTED_PROXIES", TrustedProxies::default()),
            stop_timeout: Shutdown::timeout_from_env(env),
            telemetry: telemetry::Config::from_env(env),
        }
    }
}
