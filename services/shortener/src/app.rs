//! Where the parts meet.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{FromRef, State};
use axum::routing::post;
use chassis::backups::Backups;
use chassis::bus::Bus;
use chassis::caller::Verifier;
use chassis::clock::Clock;
use chassis::database_file::Schema;
use chassis::env::Env;
use chassis::outbox::Relay;
use chassis::problem::Problem;
use chassis::service::{Command, Context, Opened, Service};
use uuid::{NoContext, Uuid};

use crate::closures::Closures;
use crate::config::Config;
use crate::domain::{Code, PublicUrl};
use crate::error::Error;
use crate::link_table::LinkTable;
use crate::measures;
use crate::routes;
use crate::store::{self, OutboxRow, Store};

/// How long an answer waits at most until redirectors can know of the change: longer than a
/// healthy NATS takes by far, shorter than a person minds.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(1);

/// How many random codes are drawn for a link, should the first ones be taken. With a thousand
/// million links, eight are all taken once in 10^25 times.
const DRAWS: usize = 8;

/// The shortener.
#[derive(Debug)]
pub struct App;

/// Where a copy of `links.db` is made.
const BACKUP: &str = "/backup/links";

impl Service for App {
    const NAME: &'static str = "shortener";
    const COMMANDS: &'static [Command] = &[
        Command {
            name: "resync",
            path: "/resync",
            help: "compare the link table with the database, and write what differs",
        },
        Backups::command(BACKUP),
    ];
    const DATABASE: Option<Schema> = Some(store::SCHEMA);
    type Config = Config;

    fn config(env: &mut Env) -> Option<Config> {
        Config::from_env(env)
    }

    async fn open(config: Config, context: Context) -> anyhow::Result<Opened> {
        let Context {
            bus,
            shutdown,
            ready,
            clock,
            public_url,
            ..
        } = context;
        let public_url = PublicUrl::new(&public_url);
        let opening = config
            .database
            .open(&store::SCHEMA, clock.clone(), &shutdown, &ready);
        let store = Store::new(opening.await?);
        measures::begin(store.count().await?);

        let verifier = Verifier::remote(config.jwks_url, public_url.base(), clock.clone());
        for user_id in store
            .closed_accounts()
            .await
            .context("can't read the closed accounts")?
        {
            verifier.refuse_subject(user_id);
        }

        let relay = Relay::start(store.database().clone(), &bus, &shutdown);
        let table = LinkTable::new(bus.clone(), store.clone(), relay.clone());
        shutdown.spawn("link table", table.clone().keep(shutdown.clone()));
        let closures = Closures {
            bus: bus.clone(),
            store: store.clone(),
            relay: relay.clone(),
            verifier: verifier.clone(),
            clock: clock.clone(),
        };
        shutdown.spawn("closed accounts", closures.follow(shutdown.clone()));

        let backups = config.database.backups.router(
            BACKUP,
            store.database().clone(),
            clock.clone(),
            shutdown,
        );
        let state = AppState(Arc::new(Parts {
            store,
            clock,
            public_url,
            verifier,
            bus,
            relay,
        }));
        let admin = Router::new()
            .route("/resync", post(resync))
            .with_state(table)
            .merge(backups);
        Ok(Opened {
            router: routes::public(state),
            admin,
        })
    }
}

/// Compares now, and says what was found: a line of text for a person at a terminal.
async fn resync(State(table): State<LinkTable>) -> Result<String, Problem> {
    if !table.is_reachable() {
        return Err(Problem::unavailable(
            "NATS is not there: nothing to compare with",
        ));
    }
    let report = table.resync().await.map_err(not_compared)?;
    Ok(format!("{report}\n"))
}

/// What the database fails at is told as anywhere else. NATS may go at any time, and comes back.
fn not_compared(error: anyhow::Error) -> Problem {
    error.downcast::<Error>().map_or_else(
        |error| {
            tracing::warn!(error = format!("{error:#}"), "link table not compared");
            Problem::unavailable("NATS went away meanwhile: try again once it is there")
        },
        Problem::from,
    )
}

/// What the handlers stand on. Cheap to clone: each request does it several times.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// The parts themselves.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// The base of short URLs.
    pub public_url: PublicUrl,
    verifier: Verifier,
    bus: Bus,
    relay: Relay,
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl AppState {
    /// An id for a new link.
    pub fn new_link_id(&self) -> Uuid {
        let now = self.clock.now();
        let seconds = now.as_second().unsigned_abs();
        let nanoseconds = now.subsec_nanosecond().unsigned_abs();
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanoseconds))
    }

    /// Random codes for one link, to be tried in turn. The generator is the thread's: seeded by
    /// the system, cryptographically secure.
    pub fn draw_codes() -> Vec<Code> {
        let mut rng = rand::rng();
        (0..DRAWS).map(|_| Code::draw(&mut rng)).collect()
    }

    /// Waits until the link table has the change in this row of the outbox, so that the caller
    /// can follow the link at once. Not for long, and not at all while NATS is away: the change
    /// is durable, and the relay brings it there later.
    pub async fn published(&self, row: OutboxRow) {
        if !self.bus.is_connected() {
            self.relay.wake();
            return;
        }
        if !self.relay.sent(row, PUBLISHED_WITHIN).await {
            tracing::info!(row, "answered before the link table had the change");
        }
    }
}

impl FromRef<AppState> for Verifier {
    fn from_ref(state: &AppState) -> Self {
        state.verifier.clone()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn a_comparison_that_nats_broke_off_can_be_tried_again() {
        let nats = anyhow::anyhow!("the stream did not answer").context("reading the bucket");
        assert_eq!(not_compared(nats).status(), StatusCode::SERVICE_UNAVAILABLE);
        let disk = anyhow::Error::new(Error::from(rusqlite::Error::InvalidQuery));
        assert_eq!(
            not_compared(disk).status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
}
