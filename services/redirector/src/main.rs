//! The redirector as a program of its own.

use std::num::NonZero;
use std::process::ExitCode;
use std::thread;

use tokio::runtime;

fn main() -> ExitCode {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()
        .expect("a runtime, without which nothing can be said or done");
    // On the heap: all that opening takes would else lie on the stack of the main thread.
    runtime.block_on(Box::pin(chassis::service::main::<redirector::App>()))
}

/// All cores but one, which the kernel's network and nats-server need for the same redirects. With
/// a worker on every core a redirect costs a tenth more, for threads that wake each other, and
/// fewer are answered.
fn workers() -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    cores.saturating_sub(1).max(1)
}
