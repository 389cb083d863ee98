use std::marker::PhantomData;
use std::net::SocketAddr;

use tokio::task::JoinHandle;
use url::Url;

use super::{NatsServer, PUBLIC_URL};
use crate::bus::{Bus, BusConfig};
use crate::client_address::TrustedProxies;
use crate::clock::Clock;
use crate::http::ShortcutSlot;
use crate::ready::Readiness;
use crate::service::{Context, Listeners, Service};
use crate::shutdown::Shutdown;

/// A service that serves on ports of its own, as it does in production.
pub struct Running<S> {
    /// The base of its public listener.
    pub url: String,
    /// The base of its admin listener.
    pub admin_url: String,
    context: Context,
    serving: JoinHandle<anyhow::Result<()>>,
    service: PhantomData<S>,
}

impl<S: Service> Running<S> {
    /// Starts it.
    ///
    /// # Panics
    /// If it can't be opened.
    pub async fn start(config: S::Config, nats: &NatsServer, clock: Clock) -> Self {
        Self::try_start(config, &nats.url(), clock, TrustedProxies::default())
            .await
            .expect("the service opens")
    }

    /// Starts it behind proxies that it trusts, on a bus that need not be there; an error if it
    /// can't be opened.
    pub async fn try_start(
        config: S::Config,
        nats_url: &str,
        clock: Clock,
        trusted_proxies: TrustedProxies,
    ) -> anyhow::Result<Self> {
        let bus = BusConfig {
            url: nats_url.to_owned(),
            credentials: None,
            replicas: 1,
        };
        Self::try_start_on(config, &bus, clock, trusted_proxies).await
    }

    /// Starts it on a bus where it has to say who it is; an error if it can't be opened.
    pub async fn try_start_on(
        config: S::Config,
        bus: &BusConfig,
        clock: Clock,
        trusted_proxies: TrustedProxies,
    ) -> anyhow::Result<Self> {
        // Handles that are made before the recorder is there stay silent for ever.
        crate::telemetry::recorder();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = Listeners::bind(anywhere, anywhere).await?;
        let (public, admin) = listeners.addresses()?;
        let shutdown = Shutdown::new();
        let context = Context {
            bus: Bus::connect(bus, S::NAME, &shutdown).await?,
            shutdown,
            ready: Readiness::default(),
            clock,
            public_url: PUBLIC_URL.parse::<Url>()?,
            trusted_proxies,
            shortcut: ShortcutSlot::default(),
        };
        let opened = S::open(config, context.clone()).await?;
        let serving = {
            let context = context.clone();
            tokio::spawn(async move { listeners.serve(async { Ok(opened) }, &context).await })
        };
        Ok(Self {
            url: format!("http://{public}"),
            admin_url: format!("http://{admin}"),
            context,
            serving,
            service: PhantomData,
        })
    }

    /// A client that follows no redirects.
    #[expect(clippy::unused_self, reason = "reads as this service's client")]
    pub fn client(&self) -> reqwest::Client {
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client with defaults builds")
    }

    /// Its connection to the bus.
    pub fn bus(&self) -> &Bus {
        &self.context.bus
    }

    /// Whether it says that it is ready.
    pub fn is_ready(&self) -> bool {
        self.context.ready.waiting_for().is_empty()
    }

    /// Whether it is still serving.
    pub fn is_running(&self) -> bool {
        !self.serving.is_finished()
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        super::eventually(|| async { self.is_ready().then_some(()) }).await;
    }

    /// Stops it in order.
    ///
    /// # Panics
    /// If it could not serve, or a worker failed.
    pub async fn stop(self) {
        self.context.shutdown.begin();
        self.serving
            .await
            .expect("serving does not panic")
            .expect("it ended well");
    }
}
