//! `kurz`: serves everything on one port; `kurz openapi` prints the description of its API.

use std::io::Write as _;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("openapi") {
        let printed = std::io::stdout().write_all(kurz::api_document().as_bytes());
        return if printed.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    // On the heap: the future holds four services.
    let serve = Box::pin(kurz::serve());
    chassis::service::program(kurz::NAME, &kurz::COMMANDS.concat(), serve).await
}
