//! The redirector as a program of its own.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // On the heap: all that opening takes would else lie on the stack of the main thread.
    Box::pin(chassis::service::main::<redirector::App>()).await
}
