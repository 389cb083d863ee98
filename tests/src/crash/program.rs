//! One program with several names: the harness, and, called by the name of a service, that service.
//! So what is killed is always as new as what kills it.

use std::future::Future;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use chassis::env::Env;
use tokio::runtime::Runtime;

use super::clock;
use super::disk;
use super::options::{self, Options};
use super::run::run;

/// The exit code for a command line that can't be read.
const MISUSED: u8 = 2;

/// The whole program.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let called = arguments.next().unwrap_or_default();
    match called.as_str() {
        "auth" => serve(chassis::service::main::<auth::App>()),
        "shortener" => serve(chassis::service::main::<shortener::App>()),
        "redirector" => serve(chassis::service::main::<redirector::App>()),
        "analytics" => serve(chassis::service::main::<analytics::App>()),
        "nats-server" => become_nats_server(arguments),
        _ => harness(arguments),
    }
}

/// Where the program nats-server is.
pub(super) fn nats_server() -> PathBuf {
    let mut env = Env::from_process("crash");
    env.or("KURZ_NATS_SERVER", PathBuf::from("nats-server"))
}

fn harness(arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut arguments: Vec<_> = arguments.collect();
    let mounts_are_ours = arguments
        .pop_if(|last| last == disk::MOUNTS_ARE_OURS)
        .is_some();
    // Nothing can be done if nobody reads.
    let tell = |line: &str| drop(writeln!(std::io::stderr(), "{line}"));
    let options = match Options::read(arguments.into_iter()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            tell(options::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            tell(&format!("{error}\n{}", options::USAGE));
            return ExitCode::from(MISUSED);
        }
    };
    if options.disks && !mounts_are_ours {
        tell(&format!(
            "can't have mounts of its own: {}",
            disk::with_own_mounts()
        ));
        return ExitCode::FAILURE;
    }
    // On this thread, which lives to the end: the system ends the children of a thread with it.
    match runtime().block_on(Box::pin(run(&options, tell))) {
        Ok(report) => {
            drop(writeln!(std::io::stdout(), "{report}"));
            if report.broken.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            tell(&format!("crash: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(service: impl Future<Output = ExitCode>) -> ExitCode {
    die_with_parent();
    clock::leave_nothing_behind();
    runtime().block_on(Box::pin(service))
}

fn become_nats_server(arguments: impl Iterator<Item = String>) -> ExitCode {
    die_with_parent();
    let error = Command::new(nats_server()).args(arguments).exec();
    drop(writeln!(
        std::io::stderr(),
        "no nats-server ({error}): run `make tools`, or set KURZ_NATS_SERVER"
    ));
    ExitCode::FAILURE
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("the system gives what a runtime needs")
}

/// Nothing is left behind if the harness itself is killed.
fn die_with_parent() {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .expect("KILL is a signal");
}
