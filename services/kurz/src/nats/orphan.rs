//! A server that outlived a kurz that was killed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::POLL;

/// Ends the server that an earlier kurz left behind: it holds the port and the store. A process
/// that merely has the same id, or another configuration, is left alone.
pub(super) async fn end(pid_file: &Path, config: &Path, patience: Duration) -> anyhow::Result<()> {
    let Some(pid) = read(pid_file) else {
        return Ok(());
    };
    if !is_ours(pid, config) {
        return Ok(());
    }
    tracing::warn!(
        pid = pid.as_raw_nonzero().get(),
        "ending a nats-server that was left behind"
    );
    kill_process(pid, Signal::TERM).context("can't end the nats-server that was left behind")?;
    let started = Instant::now();
    while is_ours(pid, config) {
        ensure!(
            started.elapsed() < patience,
            "the nats-server that was left behind (process {}) does not end",
            pid.as_raw_nonzero()
        );
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn read(pid_file: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(pid_file).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}

/// Whether the process runs with our configuration file as one of its arguments.
fn is_ours(pid: Pid, config: &Path) -> bool {
    let path = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
    let Ok(arguments) = std::fs::read(path) else {
        return false;
    };
    arguments
        .split(|byte| *byte == 0)
        .any(|argument| argument == config.as_os_str().as_encoded_bytes())
}
