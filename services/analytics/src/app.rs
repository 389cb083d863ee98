//! Where the parts meet.

use std::sync::Arc;

use chassis::caller::Verifier;
use chassis::database_file::Schema;
use chassis::env::Env;
use chassis::service::{Command, Context, Opened, Service};

use crate::config::Config;
use crate::feed::Feed;
use crate::forward::Others;
use crate::live::Hub;
use crate::rules::Rules;
use crate::settling::{self, Settling};
use crate::state::AppState;
use crate::streams::Streams;
use crate::{
    accounts, audit, feed, ingest, links, maintenance, partition, rebuild, retention, routes, store,
};

/// The service analytics.
#[derive(Debug)]
pub struct App;

impl Service for App {
    const NAME: &'static str = "analytics";
    const COMMANDS: &'static [Command] = maintenance::COMMANDS;
    const DATABASE: Option<Schema> = Some(store::SCHEMA);
    type Config = Config;

    fn config(env: &mut Env) -> Option<Config> {
        Config::from_env(env)
    }

    async fn open(config: Config, context: Context) -> anyhow::Result<Opened> {
        let issuer = context.issuer();
        let Context {
            bus,
            shutdown,
            ready,
            clock,
            public_url,
            trusted_proxies,
            ..
        } = context;
        let warm = ready.latch("database");
        let opening = config
            .database
            .open(&store::SCHEMA, clock.clone(), &shutdown, &ready);
        let database = opening.await?;
        store::prepare_writer(&database).await?;
        partition::claim(&database, config.partition).await?;
        let state = AppState {
            partition: config.partition,
            others: config.others.map(Others::new).transpose()?,
            database,
            backups: config.database.backups,
            applying: Arc::default(),
            upkeep: Arc::default(),
            verifier: Verifier::remote(config.jwks_url, &issuer, clock.clone()),
            clock,
            bus,
            live: Hub::new(),
            feed: Feed::default(),
            settling: Settling::default(),
            streams: Streams::default(),
            rules: tokio::task::spawn_blocking(Rules::new).await?,
            shutdown: shutdown.clone(),
            trusted_proxies,
            public_url,
        };
        rebuild::clean_up(&state.database)?;
        accounts::refuse_known(&state).await?;
        shutdown.spawn("feed", Box::pin(feed::run(state.clone())));
        shutdown.spawn("clicks", Box::pin(ingest::run(state.clone())));
        shutdown.spawn("link table", Box::pin(links::run(state.clone())));
        shutdown.spawn("closed accounts", Box::pin(accounts::run(state.clone())));
        shutdown.spawn(
            "retention",
            Box::pin(retention::run(state.clone(), config.retention)),
        );
        shutdown.spawn("settling", Box::pin(settling::run(state.clone())));
        shutdown.spawn("audit", Box::pin(audit::run(state.clone())));
        shutdown.spawn("database", close(state.clone()));
        // Reports need the database alone: they are answered while NATS is away.
        warm.open();
        Ok(Opened {
            admin: maintenance::router(state.clone()),
            router: routes::router(state),
        })
    }
}

/// Closes the database once every request was answered, so that nothing is left to recover.
async fn close(state: AppState) -> anyhow::Result<()> {
    state.shutdown.drained().await;
    state.database.close().await;
    Ok(())
}
