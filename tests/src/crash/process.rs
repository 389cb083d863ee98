use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// How long a process may take to stop in order: what the services allow themselves, and some more.
const STOP: Duration = Duration::from_secs(35);

/// How many lines of a log are shown when something went wrong.
const LOG_LINES: usize = 15;

/// A program that runs, or can be started again as it was. It ends with its value.
pub struct Process {
    name: &'static str,
    label: String,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
}

/// How a process that was asked to stop did so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// In time, and with success.
    Cleanly,
    /// In time, and with an error.
    WithError,
    /// It had to be killed.
    NotInTime,
}

impl Process {
    /// One that is called `name` and does not run yet. It sees `variables` and nothing else.
    pub fn new(
        name: &'static str,
        label: String,
        arguments: Vec<OsString>,
        variables: Vec<(String, String)>,
        log: PathBuf,
    ) -> Self {
        Self {
            name,
            label,
            arguments,
            variables,
            log,
            child: None,
        }
    }

    /// What people call it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Starts it. On the main thread: it ends with the thread that started it.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let open = || OpenOptions::new().create(true).append(true).open(&self.log);
        let child = Command::new(std::env::current_exe()?)
            .arg0(self.name)
            .args(&self.arguments)
            .env_clear()
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("can't start {}", self.label))?;
        self.child = Some(child);
        Ok(())
    }

    /// kill -9, also when it is frozen.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child
                .kill()
                .await
                .with_context(|| format!("can't kill {}", self.label))?;
        }
        Ok(())
    }

    /// SIGSTOP.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGTERM, and kill -9 if that takes too long.
    pub async fn stop(&mut self) -> anyhow::Result<Stopped> {
        self.signal(Signal::TERM)?;
        let Some(mut child) = self.child.take() else {
            return Ok(Stopped::Cleanly);
        };
        let Ok(status) = tokio::time::timeout(STOP, child.wait()).await else {
            child.kill().await?;
            return Ok(Stopped::NotInTime);
        };
        Ok(if status?.success() {
            Stopped::Cleanly
        } else {
            Stopped::WithError
        })
    }

    /// How it ended, if it did by itself.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        let ended = child.try_wait()?;
        if ended.is_some() {
            self.child = None;
        }
        Ok(ended)
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(LOG_LINES).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.child.as_ref().and_then(Child::id);
        let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid.cast_signed())) else {
            // It has ended by itself, which is noticed elsewhere.
            return Ok(());
        };
        // Not waited for yet, so the number is still its own.
        kill_process(pid, signal).with_context(|| format!("can't signal {}", self.label))
    }
}
