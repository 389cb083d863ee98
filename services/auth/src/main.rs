//! The accounts service of kurz.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    chassis::service::main::<auth::App>().await
}
