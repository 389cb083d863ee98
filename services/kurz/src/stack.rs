use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use chassis::bus::{Bus, BusConfig};
use chassis::clock::Clock;
use chassis::env::{Env, Secret};
use chassis::http::ShortcutSlot;
use chassis::ready::Readiness;
use chassis::service::{Command, Context, Listeners, Opened, Service};
use chassis::shutdown::Shutdown;
use chassis::telemetry;
use url::Url;

use crate::data_folder::DataFolder;
use crate::greeting::greeting;
use crate::nats::NatsServer;
use crate::private_file::random_hex;
use crate::settings::{BusPlace, Settings};
use crate::subscribers;

/// The name of the program.
pub const NAME: &str = "kurz";

/// The maintenance commands of all four services.
pub const COMMANDS: [&[Command]; 4] = [
    auth::App::COMMANDS,
    shortener::App::COMMANDS,
    redirector::App::COMMANDS,
    analytics::App::COMMANDS,
];

/// Stands for the secret that is made in the data folder at the first start.
const TO_BE_MADE: &str = "made at the first start";

/// What each service is told.
struct Configs {
    auth: auth::Config,
    shortener: shortener::Config,
    redirector: redirector::Config,
    analytics: analytics::Config,
}

/// Runs everything until SIGTERM or SIGINT.
pub async fn serve() -> anyhow::Result<()> {
    let mut env = Env::from_process(NAME);
    let settings = Settings::from_env(&mut env);
    let configs = configs(&mut env, &settings.data);
    let mut configs = env.finish(configs)?;

    let data = DataFolder::open(&settings.data)?;
    if configs.redirector.visitor_salt.expose() == TO_BE_MADE {
        let salt = data.secret("visitor-salt", || Ok(random_hex()))?;
        configs.redirector.visitor_salt = Secret::from(std::fs::read_to_string(salt)?);
    }
    let _telemetry = telemetry::init(NAME, &settings.telemetry)?;
    let listeners = Listeners::bind(settings.listen, settings.admin_listen).await?;
    let (public, admin) = listeners.addresses()?;
    let keys = format!("http://{}/auth/.well-known/jwks.json", reachable(public));
    configs.shortener.jwks_url = keys.parse()?;
    configs.analytics.jwks_url = keys.parse()?;
    let public_url = match settings.public_url {
        Some(url) => url,
        None => Url::parse(&format!("http://{}", reachable(public)))?,
    };

    let shutdown = Shutdown::on_signal(settings.stop_timeout)?;
    let (nats, bus) = match settings.bus {
        BusPlace::Elsewhere(bus) => (None, bus),
        BusPlace::Child { program, listen } => {
            let nats = NatsServer::start(&data, program, listen).await?;
            let bus = BusConfig {
                url: nats.url.clone(),
                credentials: Some(nats.credentials.clone()),
                replicas: 1,
            };
            (Some(nats), bus)
        }
    };
    let context = Context {
        bus: Bus::connect(&bus, NAME, &shutdown).await?,
        shutdown,
        ready: Readiness::default(),
        clock: Clock::system(),
        public_url: public_url.clone(),
        trusted_proxies: settings.trusted_proxies,
        shortcut: ShortcutSlot::default(),
    };
    let opening = async {
        let opened = open(configs, &context).await?;
        if let Some(nats) = &nats
            && !nats.subscribers.is_empty()
        {
            let making = subscribers::keep_making_consumers(
                context.bus.clone(),
                nats.subscribers.clone(),
                context.shutdown.clone(),
            );
            context.shutdown.spawn("subscribers", making);
        }
        std::io::stdout().write_all(greeting(&public_url, admin).as_bytes())?;
        Ok(opened)
    };
    let served = listeners.serve(opening, &context).await;
    // Last of all: whatever is flushed at the end is flushed to it.
    if let Some(nats) = nats {
        nats.stop().await;
    }
    served
}

async fn open(configs: Configs, context: &Context) -> anyhow::Result<Opened> {
    let apis = [
        auth::App::open(configs.auth, context.clone())
            .await
            .context("auth")?,
        shortener::App::open(configs.shortener, context.clone())
            .await
            .context("shortener")?,
        analytics::App::open(configs.analytics, context.clone())
            .await
            .context("analytics")?,
    ];
    let redirects = redirector::App::open(configs.redirector, context.clone()).await;
    // Whatever is outside the prefixes of the APIs is for the redirector to answer.
    Ok(apis
        .into_iter()
        .fold(redirects.context("redirector")?, |whole, api| Opened {
            router: whole.router.merge(api.router.reset_fallback()),
            admin: whole.admin.merge(api.admin),
        }))
}

/// The configurations of the services, from the same environment with their own places in the
/// data folder.
fn configs(env: &mut Env, data: &Path) -> Option<Configs> {
    let own_salt = env.secret("KURZ_VISITOR_SALT").is_some();
    let part = |database: &str| {
        let mut part = env.derive([
            ("KURZ_DATABASE", place(data, database)),
            // Known once the listener is bound, and set then.
            ("KURZ_JWKS_URL", "http://localhost/".to_owned()),
            ("KURZ_SPOOL", place(data, "spool")),
        ]);
        if !own_salt {
            part = part.derive([("KURZ_VISITOR_SALT", TO_BE_MADE.to_owned())]);
        }
        part
    };
    let mut parts = [
        part("auth.db"),
        part("links.db"),
        part("clicks.db"),
        part(""),
    ];
    let [accounts, links, clicks, redirects] = &mut parts;
    let auth = auth::App::config(accounts);
    let shortener = shortener::App::config(links);
    let analytics = analytics::App::config(clicks);
    let redirector = redirector::App::config(redirects);
    for part in parts {
        env.absorb(part);
    }
    Some(Configs {
        auth: auth?,
        shortener: shortener?,
        analytics: analytics?,
        redirector: redirector?,
    })
}

/// A file or folder in the data folder.
pub(crate) fn place(data: &Path, name: &str) -> String {
    data.join(name).to_string_lossy().into_owned()
}

/// A listener on every address is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        (Ipv4Addr::LOCALHOST, address.port()).into()
    } else {
        address
    }
}
