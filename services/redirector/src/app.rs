use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use chassis::client_address::TrustedProxies;
use chassis::clock::Clock;
use chassis::env::Env;
use chassis::service::{Context, Opened, Service};
use url::Url;

use crate::meters::RedirectMeters;
use crate::recorder::Recorder;
use crate::table::{self, LinkTable, Snapshots};
use crate::visit::{Countries, Observer, VisitorKeys};
use crate::{Config, routes};

/// The redirector.
#[derive(Debug)]
pub struct App;

/// What a request needs.
pub struct AppState {
    pub table: Arc<LinkTable>,
    pub recorder: Recorder,
    pub observer: Observer,
    pub meters: RedirectMeters,
    pub clock: Clock,
    pub trusted_proxies: TrustedProxies,
    pub home_url: Option<Url>,
}

impl AppState {
    /// The address from which the request came to us.
    pub fn peer(request: &Request) -> IpAddr {
        request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| {
                peer.ip()
            })
    }
}

impl Service for App {
    const NAME: &'static str = "redirector";
    type Config = Config;

    fn config(env: &mut Env) -> Option<Config> {
        Config::from_env(env)
    }

    async fn open(config: Config, context: Context) -> anyhow::Result<Opened> {
        let countries = config.geoip.as_deref().map(Countries::open).transpose()?;
        // The recorder first: it makes sure that nobody else uses the folder.
        let recorder = Recorder::open(config.recorder(), &context).await?;
        let snapshots = Snapshots::new(&config.spool);
        let table = table::start(snapshots, config.snapshot_wait, &context).await?;
        let state = Arc::new(AppState {
            table,
            recorder,
            observer: Observer {
                countries,
                visitors: VisitorKeys::new(config.visitor_salt),
            },
            meters: RedirectMeters::new(),
            clock: context.clock.clone(),
            trusted_proxies: context.trusted_proxies.clone(),
            home_url: config.home_url,
        });
        let shortcut = routes::Shortcut(Arc::clone(&state));
        context.shortcut.take(Arc::new(shortcut));
        Ok(Opened {
            router: routes::router(state),
            admin: Router::new(),
        })
    }
}
