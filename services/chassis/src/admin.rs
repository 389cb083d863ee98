//! The admin listener: health, metrics and maintenance commands. It has no authentication and
//! belongs on an address that only operators reach.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::problem::Problem;
use crate::ready::Readiness;
use crate::telemetry;

/// Health and metrics, with the service's own commands beside them.
pub(crate) fn router(ready: Readiness, commands: Router) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(move || async move { health(&ready) }))
        .route("/metrics", get(render))
        .merge(commands)
}

fn health(ready: &Readiness) -> Response {
    let waiting_for = ready.waiting_for();
    if waiting_for.is_empty() {
        return "ready\n".into_response();
    }
    Problem::unavailable(format!("waiting for: {}", waiting_for.join(", "))).into_response()
}

async fn render() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        telemetry::render_metrics(),
    )
}

/// Asks the running process to do `path`; what it answered, as an error unless it did it.
pub async fn command(admin: SocketAddr, path: &str) -> anyhow::Result<String> {
    let url = format!("http://{}{path}", reachable(admin));
    let response = reqwest::Client::new()
        .post(&url)
        .send()
        .await
        .with_context(|| {
            format!("nobody answers at {admin}: is it running, and is KURZ_ADMIN_LISTEN the same?")
        })?;
    text(response).await
}

/// Whether the running process is ready; an error that says what it waits for if not.
pub async fn healthcheck(admin: SocketAddr) -> anyhow::Result<String> {
    let url = format!("http://{}/health/ready", reachable(admin));
    let response = reqwest::Client::new()
        .get(&url)
        .timeout(std::time::Duration::from_secs(5))
        .send()
        .await
        .with_context(|| format!("nobody answers at {admin}"))?;
    text(response).await
}

async fn text(response: reqwest::Response) -> anyhow::Result<String> {
    let status = response.status();
    let text = response.text().await?;
    anyhow::ensure!(
        status.is_success(),
        "{}: {text}",
        StatusCode::as_u16(&status)
    );
    Ok(text)
}

/// An address that listens everywhere is reached on loopback.
fn reachable(admin: SocketAddr) -> SocketAddr {
    match admin {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => ([127, 0, 0, 1], v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, v6.port()).into()
        }
        other => other,
    }
}
