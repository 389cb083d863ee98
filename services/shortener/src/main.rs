//! The shortener as a program.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    chassis::service::main::<shortener::App>().await
}
