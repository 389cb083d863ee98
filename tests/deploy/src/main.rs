//! Every program of kurz, by the name it is called: what the tests of the deployment start is always as new as they are.

use std::path::Path;
use std::process::ExitCode;

/// The exit code for a name that is none.
const MISUSED: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let called = std::env::args().next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default();
    // On the heap: all that opening takes would else lie on the stack of the main thread.
    match name.to_str() {
        Some("auth") => Box::pin(chassis::service::main::<auth::App>()).await,
        Some("shortener") => Box::pin(chassis::service::main::<shortener::App>()).await,
        Some("redirector") => Box::pin(chassis::service::main::<redirector::App>()).await,
        Some("analytics") => Box::pin(chassis::service::main::<analytics::App>()).await,
        Some("kurz") => Box::pin(kurz::main()).await,
        _ => ExitCode::from(MISUSED),
    }
}
