//! Where the parts meet.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::backups::Backups;
use chassis::caller::Verifier;
use chassis::client_address::TrustedProxies;
use chassis::clock::Clock;
use chassis::database_file::Schema;
use chassis::env::Env;
use chassis::outbox::Relay;
use chassis::service::{Command, Context, Opened, Service};

use crate::closings::Closings;
use crate::config::Config;
use crate::hashing::Hasher;
use crate::limits::Gate;
use crate::signing::{ACCESS_TOKEN_LIFETIME, KeyRing};
use crate::store::{self, Store};
use crate::{routes, sweeper};

/// The accounts service.
pub struct App;

/// What handlers stand on. Cheap to clone.
#[derive(Clone, FromRef)]
pub struct AppState {
    /// The database.
    pub store: Store,
    /// argon2id.
    pub hasher: Hasher,
    /// The limits of attempts.
    pub gate: Arc<Gate>,
    /// Signs access tokens.
    pub keys: KeyRing,
    /// Verifies access tokens.
    pub verifier: Verifier,
    /// Tells others of closed accounts.
    pub relay: Relay,
    /// The time.
    pub clock: Clock,
    /// Whose word on a client's address counts.
    pub trusted_proxies: TrustedProxies,
}

/// Where a copy of `auth.db` is made.
const BACKUP: &str = "/backup/auth";

impl Service for App {
    const NAME: &'static str = "auth";
    const COMMANDS: &'static [Command] = &[
        Command {
            name: "rotate-key",
            path: "/keys/rotate",
            help: "signs with the next key from now on; tokens in flight stay good",
        },
        Backups::command(BACKUP),
    ];

    const DATABASE: Option<Schema> = Some(store::SCHEMA);
    type Config = Config;

    fn config(env: &mut Env) -> Option<Config> {
        Config::from_env(env)
    }

    async fn open(config: Config, context: Context) -> anyhow::Result<Opened> {
        describe_metrics();
        let opening = config.database.open(
            &store::SCHEMA,
            context.clock.clone(),
            &context.shutdown,
            &context.ready,
        );
        let database = opening.await?;
        let store = Store::new(database.clone());
        let issuer = context.issuer();
        let verifier = Verifier::local(&issuer, context.clock.clone());
        let keys = KeyRing::open(
            store.clone(),
            context.clock.clone(),
            &issuer,
            verifier.clone(),
        )
        .await?;
        for user_id in store
            .closed_since(context.clock.now() - ACCESS_TOKEN_LIFETIME)
            .await?
        {
            verifier.refuse_subject(user_id);
        }
        let backups = config.database.backups.router(
            BACKUP,
            database.clone(),
            context.clock.clone(),
            context.shutdown.clone(),
        );
        let relay = Relay::start(database, &context.bus, &context.shutdown);
        start_workers(&context, &store, &keys, &verifier);
        let state = AppState {
            store,
            hasher: Hasher::new().await?,
            gate: Arc::new(Gate::new(&config.limits)),
            keys,
            verifier,
            relay,
            clock: context.clock,
            trusted_proxies: context.trusted_proxies,
        };
        Ok(Opened {
            router: routes::public(state.clone()).0,
            admin: routes::admin(state).merge(backups),
        })
    }
}

fn start_workers(context: &Context, store: &Store, keys: &KeyRing, verifier: &Verifier) {
    let closings = Closings::new(context, store.clone(), verifier.clone());
    context.shutdown.spawn("closed accounts", closings.run());
    let sweeper = sweeper::run(
        store.clone(),
        keys.clone(),
        context.clock.clone(),
        context.shutdown.clone(),
    );
    context.shutdown.spawn("sweeper", async {
        sweeper.await;
        Ok(())
    });
}

fn describe_metrics() {
    metrics::describe_counter!("kurz_auth_log_ins_total", "Attempts to sign in, by outcome");
    metrics::describe_counter!("kurz_auth_registrations_total", "Accounts made");
    metrics::describe_counter!("kurz_auth_accounts_closed_total", "Accounts closed");
    metrics::describe_counter!("kurz_auth_passwords_changed_total", "Passwords changed");
    metrics::describe_counter!("kurz_auth_refreshes_total", "Refresh tokens accepted");
    metrics::describe_counter!(
        "kurz_auth_refresh_tokens_reused_total",
        "Refresh tokens that came a second time; each ended a session and may be a theft"
    );
    metrics::describe_counter!(
        "kurz_auth_sessions_expired_total",
        "Expired sessions removed"
    );
    metrics::describe_counter!(
        "kurz_auth_key_rotations_total",
        "Rotations of the signing key"
    );
    metrics::describe_gauge!(
        "kurz_auth_password_hashes_queued",
        "Passwords being hashed or waiting for it"
    );
    metrics::describe_histogram!(
        "kurz_auth_password_hash_seconds",
        metrics::Unit::Seconds,
        "Time to hash or verify one password, without waiting"
    );
}
