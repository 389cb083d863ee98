use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use url::Url;

use crate::bus::BusConfig;
use crate::client_address::TrustedProxies;
use crate::env::Env;
use crate::shutdown::Shutdown;

/// The port of the admin listener when nobody sets it.
const ADMIN_PORT: u16 = 9090;

/// The variables that all services share.
#[derive(Debug, Clone)]
pub struct Common {
    /// `KURZ_LISTEN`: where the public listener is; 0.0.0.0:8080.
    pub listen: SocketAddr,
    /// `KURZ_ADMIN_LISTEN`: where health and metrics are; 127.0.0.1:9090.
    pub admin_listen: SocketAddr,
    /// `KURZ_PUBLIC_URL`: the base of short URLs and the issuer of tokens.
    pub public_url: Url,
    /// `KURZ_NATS_URL`, `KURZ_NATS_CREDENTIALS`, `KURZ_NATS_REPLICAS`: the bus.
    pub bus: BusConfig,
    /// `KURZ_TRUSTED_PROXIES`: whose word about client addresses is believed.
    pub trusted_proxies: TrustedProxies,
    /// `KURZ_STOP_TIMEOUT`: how long workers may flush at a stop.
    pub stop_timeout: Duration,
}

impl Common {
    /// Reads them; `None` if one that must be there is not.
    pub fn from_env(env: &mut Env) -> Option<Self> {
        let listen = env.or(
            "KURZ_LISTEN",
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
        );
        let admin_listen = Self::admin_listen(env);
        let public_url = Self::public_url(env);
        let nats_url = env.required("KURZ_NATS_URL");
        let credentials = env.optional("KURZ_NATS_CREDENTIALS");
        let replicas = Self::replicas(env);
        let trusted_proxies = env.or("KURZ_TRUSTED_PROXIES", TrustedProxies::default());
        let stop_timeout = Shutdown::timeout_from_env(env);
        Some(Self {
            listen,
            admin_listen,
            public_url: public_url?,
            bus: BusConfig {
                url: nats_url?,
                credentials,
                replicas,
            },
            trusted_proxies,
            stop_timeout,
        })
    }

    /// `KURZ_ADMIN_LISTEN` alone, for commands.
    pub fn admin_listen(env: &mut Env) -> SocketAddr {
        env.or(
            "KURZ_ADMIN_LISTEN",
            SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT)),
        )
    }

    /// `KURZ_NATS_REPLICAS`: 1, 3 or 5.
    pub fn replicas(env: &mut Env) -> usize {
        let replicas = env.or("KURZ_NATS_REPLICAS", 1);
        if ![1, 3, 5].contains(&replicas) {
            env.fault(
                "KURZ_NATS_REPLICAS",
                &format!("{replicas} is not 1, 3 or 5"),
            );
        }
        replicas
    }

    /// `KURZ_PUBLIC_URL`: http or https, a host, and nothing behind it.
    pub fn public_url(env: &mut Env) -> Option<Url> {
        let url: Url = env.required("KURZ_PUBLIC_URL")?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !["http", "https"].contains(&url.scheme()) || url.host().is_none() || !bare {
            env.fault(
                "KURZ_PUBLIC_URL",
                &format!("\"{url}\" is not like https://example.org"),
            );
            return None;
        }
        Some(url)
    }
}
