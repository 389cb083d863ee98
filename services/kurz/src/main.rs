//! `kurz`, the program.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    kurz::main().await
}
