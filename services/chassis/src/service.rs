//! The skeleton that all services share: from the environment to the last flushed byte.

mod arguments;
mod common;

use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use url::Url;

use crate::bus::Bus;
use crate::client_address::TrustedProxies;
use crate::clock::Clock;
use crate::database_file::{self, DatabaseFile, Schema};
use crate::env::Env;
use crate::http::ShortcutSlot;
use crate::ready::Readiness;
use crate::shutdown::Shutdown;
use crate::{admin, http, telemetry};

pub use common::Common;

/// The exit code for a configuration that can't work (`EX_CONFIG`): restarting does not help.
const MISCONFIGURED: u8 = 78;

/// The exit code for a database that failed (`EX_IOERR`).
const DATABASE_FAILED: u8 = 74;

/// One service.
pub trait Service {
    /// Its name: of the binary, in logs, and on the bus.
    const NAME: &'static str;
    /// Its maintenance commands.
    const COMMANDS: &'static [Command] = &[];
    /// Its database, if it has one.
    const DATABASE: Option<Schema> = None;
    /// What it reads from the environment beyond what all services share.
    type Config: Send + 'static;

    /// Reads its configuration; `None` if a fault was noted in `env`.
    fn config(env: &mut Env) -> Option<Self::Config>;

    /// Opens what it owns and starts its workers. Must not wait for NATS: workers do.
    fn open(
        config: Self::Config,
        context: Context,
    ) -> impl Future<Output = anyhow::Result<Opened>> + Send;
}

/// A maintenance command: a subcommand of the binary that asks the running process.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// The word on the command line, or several with single spaces.
    pub name: &'static str,
    /// The path on the admin listener that it posts to.
    pub path: &'static str,
    /// What it does, in a line. An option `--name=value` becomes `name=value` in the query, and
    /// `--name` becomes `name=true`.
    pub help: &'static str,
}

/// What every service gets.
#[derive(Clone)]
pub struct Context {
    /// The bus.
    pub bus: Bus,
    /// The end.
    pub shutdown: Shutdown,
    /// What must have happened before traffic may come.
    pub ready: Readiness,
    /// The time.
    pub clock: Clock,
    /// The base of short URLs, and the issuer of tokens.
    pub public_url: Url,
    /// Whose word about client addresses is believed.
    pub trusted_proxies: TrustedProxies,
    /// What answers in front of the router.
    pub shortcut: ShortcutSlot,
}

/// A service that is open.
pub struct Opened {
    /// Its public routes, complete.
    pub router: Router,
    /// Its maintenance commands, for the admin listener.
    pub admin: Router,
}

/// Both listeners, bound.
pub struct Listeners {
    public: TcpListener,
    admin: TcpListener,
}

impl Context {
    /// The issuer of tokens: the public URL without a slash at its end.
    pub fn issuer(&self) -> String {
        self.public_url.as_str().trim_end_matches('/').to_owned()
    }
}

impl Listeners {
    /// Binds both, so that a taken port is an error before anything is opened.
    pub async fn bind(public: SocketAddr, admin: SocketAddr) -> anyhow::Result<Self> {
        let bind = async |name: &str, address: SocketAddr| {
            TcpListener::bind(address)
                .await
                .with_context(|| format!("can't listen on {address} ({name})"))
        };
        Ok(Self {
            public: bind("KURZ_LISTEN", public).await?,
            admin: bind("KURZ_ADMIN_LISTEN", admin).await?,
        })
    }

    /// Where both listen: public, admin.
    pub fn addresses(&self) -> anyhow::Result<(SocketAddr, SocketAddr)> {
        Ok((self.public.local_addr()?, self.admin.local_addr()?))
    }

    /// Opens what is to be served, and serves it until the shutdown begins; then stops in order: no
    /// new requests, the open ones finished, workers flushed and waited for. An error if a worker
    /// failed or was left behind.
    ///
    /// Health and metrics are answered from the beginning to the very end: opening may have to wait.
    pub async fn serve(
        self,
        opening: impl Future<Output = anyhow::Result<Opened>>,
        context: &Context,
    ) -> anyhow::Result<()> {
        let shutdown = &context.shutdown;
        let commands = Arc::default();
        // Before anybody can ask.
        let open = context.ready.latch("start");
        let admin = admin::service(context.ready.clone(), Arc::clone(&commands));
        let admin = tokio::spawn(async move { axum::serve(self.admin, admin).await });
        let opened = tokio::select! {
            opened = opening => opened.map(Some),
            () = shutdown.cancelled() => Ok(None),
        };
        let served = match opened {
            Ok(Some(opened)) => {
                // Nobody else sets them.
                let _ = commands.set(opened.admin);
                open.open();
                let shortcut = context.shortcut.get();
                http::serve(self.public, opened.router, shortcut, shutdown).await;
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        shutdown.begin();
        shutdown.declare_drained();
        let finished = shutdown.finish().await;
        admin.abort();
        // It says more than what came of it.
        if let Some(reason) = shutdown.take_reason() {
            return Err(reason);
        }
        served?;
        anyhow::ensure!(finished, "not every worker ended well");
        Ok(())
    }
}

/// The whole program of a service: `main` returns what this returns.
pub async fn main<S: Service>() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut others: &[(&str, &str)] = &[];
    if let Some(schema) = &S::DATABASE {
        if let ["restore", options @ ..] = &arguments[..]
            && let Some(code) = restore(Env::from_process(S::NAME), schema, options)
        {
            return code;
        }
        others = &[("restore [<backup> | --list]", database_file::RESTORE)];
    }
    // On the heap: all that opening takes would else lie on the stack of the main thread.
    program(S::NAME, S::COMMANDS, others, Box::pin(run::<S>())).await
}

/// The command `restore` on the database that `env` names, which needs nothing else; none if the
/// options make no sense.
pub fn restore(mut env: Env, schema: &Schema, options: &[&str]) -> Option<ExitCode> {
    let file = DatabaseFile::from_env(&mut env);
    let file = match env.finish(file) {
        Ok(file) => file,
        Err(faults) => return Some(exit_code(Err(faults.into()))),
    };
    let now = Clock::system().now();
    database_file::restore(&file, schema, options, now, &mut std::io::stdout()).map(exit_code)
}

/// A program called `name` that serves, or, when its arguments name one of `commands`, asks the
/// running one to do that. `others` are what else it does, with what that is, for its usage.
pub async fn program(
    name: &str,
    commands: &[Command],
    others: &[(&str, &str)],
    serve: impl Future<Output = anyhow::Result<()>>,
) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        None => serve.await,
        Some("healthcheck") => healthcheck(name).await,
        Some(_) => match arguments::paths_and_queries(commands, &arguments) {
            Some(paths) => ask(name, &paths).await,
            None => return usage(name, commands, others),
        },
    };
    exit_code(result)
}

/// Tells standard error what went wrong, with its whole chain.
fn exit_code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    // Nothing can be done if standard error is gone.
    let _ = writeln!(std::io::stderr(), "{error:#}");
    if error.is::<crate::env::Faults>() {
        ExitCode::from(MISCONFIGURED)
    } else if error.is::<crate::sqlite::Fault>() {
        ExitCode::from(DATABASE_FAILED)
    } else {
        ExitCode::FAILURE
    }
}

async fn run<S: Service>() -> anyhow::Result<()> {
    let mut env = Env::from_process(S::NAME);
    let common = Common::from_env(&mut env);
    let telemetry = telemetry::Config::from_env(&mut env);
    let config = S::config(&mut env);
    let (common, config) = env.finish(common.zip(config))?;

    let _telemetry = telemetry::init(S::NAME, &telemetry)?;
    let listeners = Listeners::bind(common.listen, common.admin_listen).await?;
    let shutdown = Shutdown::on_signal(common.stop_timeout)?;
    let context = Context {
        bus: Bus::connect(&common.bus, S::NAME, &shutdown).await?,
        shutdown,
        ready: Readiness::default(),
        clock: Clock::system(),
        public_url: common.public_url,
        trusted_proxies: common.trusted_proxies,
        shortcut: ShortcutSlot::default(),
    };
    let (listen, admin) = listeners.addresses()?;
    let opening = async {
        let opened = S::open(config, context.clone()).await?;
        tracing::info!(%listen, %admin, "serving");
        Ok(opened)
    };
    listeners.serve(opening, &context).await
}

async fn ask(name: &str, paths: &[String]) -> anyhow::Result<()> {
    let admin = admin_listener(name)?;
    for path in paths {
        admin::command(admin, path, &mut std::io::stdout()).await?;
    }
    Ok(())
}

async fn healthcheck(name: &str) -> anyhow::Result<()> {
    let answer = admin::healthcheck(admin_listener(name)?).await?;
    std::io::stdout().write_all(answer.as_bytes())?;
    Ok(())
}

/// Where the running process listens for commands.
fn admin_listener(name: &str) -> anyhow::Result<SocketAddr> {
    let mut env = Env::from_process(name);
    let admin = Common::admin_listen(&mut env);
    Ok(env.finish(Some(admin))?)
}

fn usage(name: &str, commands: &[Command], others: &[(&str, &str)]) -> ExitCode {
    let mut lines = vec![
        format!("usage: {name}  serve"),
        format!("       {name} healthcheck  whether the running one is ready"),
    ];
    let commands = commands.iter().map(|command| (command.name, command.help));
    for (words, help) in commands.chain(others.iter().copied()) {
        let line = format!("       {name} {words}  {help}");
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    // Nothing can be done if standard error is gone.
    let _ = writeln!(std::io::stderr(), "{}", lines.join("\n"));
    ExitCode::from(2)
}
