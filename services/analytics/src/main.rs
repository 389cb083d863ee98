//! The program `analytics`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(chassis::service::main::<analytics::App>()).await
}
