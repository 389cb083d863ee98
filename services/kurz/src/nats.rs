//! The `nats-server` that runs as a child of kurz.

mod orphan;

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::authorization::{self, User};
use crate::data_folder::DataFolder;
use crate::keys;
use crate::subscribers::Subscriber;

/// How long the server may take to start or to stop; a large store takes seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before a server that died is started again.
const RESTART: Duration = Duration::from_millis(500);

/// How many free ports are tried.
const PORT_TRIES: u32 = 3;

/// How often to look whether the server has come up.
const POLL: Duration = Duration::from_millis(20);

/// The server, kept alive until [`NatsServer::stop`].
#[derive(Debug)]
pub struct NatsServer {
    /// Where it listens.
    pub url: String,
    /// The file with the seed that opens it.
    pub credentials: PathBuf,
    /// Who else may use it: those that were there at the start.
    pub subscribers: Vec<Subscriber>,
    stop: CancellationToken,
    keeper: JoinHandle<()>,
}

struct Plan {
    program: PathBuf,
    config: PathBuf,
    log: PathBuf,
    pid_file: PathBuf,
    listen: SocketAddr,
}

impl NatsServer {
    /// Starts the server with its store in the data folder, and waits until it answers. Only who
    /// can read the seed in the data folder may use it, and subscribers may read their feed.
    pub async fn start(
        data: &DataFolder,
        program: PathBuf,
        listen: SocketAddr,
    ) -> anyhow::Result<Self> {
        let credentials = data.join(keys::FILE);
        let own = User {
            name: "kurz".to_owned(),
            keys: vec![keys::keep_or_make(&credentials)?],
            permissions: None,
        };
        let subscribers = Subscriber::all(data.path())?;
        let accounts = authorization::accounts(&[own], &subscribers);
        let mut plan = Plan {
            program,
            config: data.join("nats.conf"),
            log: data.join("nats.log"),
            pid_file: data.join("nats.pid"),
            listen,
        };
        orphan::end(&plan.pid_file, &plan.config, PATIENCE).await?;
        adopt_store_without_account(&store(data))
            .context("can't move the streams of a version without accounts")?;
        let any_port = listen.port() == 0;
        let mut tries = 1;
        let child = loop {
            if any_port {
                // Chosen once, so that it stays the same when the server is started again.
                plan.listen = TcpListener::bind(listen).await?.local_addr()?;
            }
            std::fs::write(&plan.config, configuration(data, &plan, &accounts))?;
            match plan.spawn().await {
                Ok(child) => break child,
                // Somebody else may have taken the port meanwhile.
                Err(_) if any_port && tries < PORT_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        };
        let url = format!("nats://{}", plan.listen);
        let stop = CancellationToken::new();
        let keeper = tokio::spawn(keep(plan, child, stop.clone()));
        Ok(Self {
            url,
            credentials,
            subscribers,
            stop,
            keeper,
        })
    }

    /// Stops it in order.
    pub async fn stop(self) {
        self.stop.cancel();
        // It only waits for the process; a panic there would have been logged.
        let _ = self.keeper.await;
    }
}

/// Starts the server again whenever it ends by itself.
async fn keep(plan: Plan, mut child: Child, stop: CancellationToken) {
    loop {
        let ended = tokio::select! {
            ended = child.wait() => ended,
            () = stop.cancelled() => return terminate(child).await,
        };
        tracing::error!(?ended, log = %plan.log.display(), "nats-server ended: starting it again");
        child = tokio::select! {
            child = plan.respawn() => child,
            () = stop.cancelled() => return,
        };
    }
}

async fn terminate(mut child: Child) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(pid) = pid
        && kill_process(pid, Signal::TERM).is_ok()
        && tokio::time::timeout(PATIENCE, child.wait()).await.is_ok()
    {
        return;
    }
    tracing::warn!("nats-server did not stop in time: killing it; its store survives that");
    let _ = child.kill().await;
}

impl Plan {
    /// Tries until it runs.
    async fn respawn(&self) -> Child {
        loop {
            tokio::time::sleep(RESTART).await;
            match self.spawn().await {
                Ok(child) => return child,
                Err(error) => tracing::error!(error = format!("{error:#}"), "nats-server"),
            }
        }
    }

    async fn spawn(&self) -> anyhow::Result<Child> {
        let mut command = std::process::Command::new(&self.program);
        command
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at a terminal is for kurz, which needs the server until its clicks are safe.
            .process_group(0);
        // A start that is given up, because kurz stops meanwhile, must not leave a process behind.
        let mut child = Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| missing(self, &error))?;
        let up = async {
            while TcpStream::connect(self.listen).await.is_err() {
                if let Some(status) = child.try_wait()? {
                    bail!("nats-server ended with {status}: {}", last_line(&self.log));
                }
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, up).await.with_context(|| {
            format!(
                "nats-server does not answer at {} within {PATIENCE:?}",
                self.listen
            )
        })??;
        // Somebody else may answer at that address; then ours has ended.
        if let Some(status) = child.try_wait()? {
            bail!("nats-server ended with {status}: {}", last_line(&self.log));
        }
        Ok(child)
    }
}

fn missing(plan: &Plan, error: &std::io::Error) -> anyhow::Error {
    anyhow::anyhow!(
        "can't run {} ({error}): kurz needs nats-server 2.12 or newer. `make tools` in the source \
         folder installs it into .tools; or get it from https://nats.io/download and put it on \
         PATH, or name it in KURZ_NATS_SERVER",
        plan.program.display()
    )
}

fn configuration(data: &DataFolder, plan: &Plan, accounts: &str) -> String {
    format!(
        "# Written by kurz at every start.\n\
         listen: \"{}\"\n\
         server_name: kurz\n\
         log_file: \"{}\"\n\
         logfile_size_limit: 10MB\n\
         pid_file: \"{}\"\n\
         jetstream {{ store_dir: \"{}\" }}\n\
         {accounts}",
        plan.listen,
        plan.log.display(),
        plan.pid_file.display(),
        store(data).display(),
    )
}

fn store(data: &DataFolder) -> PathBuf {
    data.join("nats")
}

/// Before there were subscribers, the streams were in no account of their own, and nats-server keeps
/// the streams of each account in a folder of that name.
fn adopt_store_without_account(store: &Path) -> std::io::Result<()> {
    let accounts = store.join("jetstream");
    let (old, new) = (accounts.join("$G"), accounts.join(authorization::ACCOUNT));
    if old.is_dir() && !new.exists() {
        std::fs::rename(old, new)?;
    }
    Ok(())
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or("it wrote no log").to_owned()
}
