//! The admin listener: health and metrics for whoever reaches it, and maintenance commands for this
//! machine, or this container, alone. It has no authentication and belongs on an address that only
//! operators reach.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use axum::Router;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower::ServiceExt as _;

use crate::problem::Problem;
use crate::ready::Readiness;
use crate::telemetry;

/// Health and metrics, with the service's own commands beside them once it is open.
pub(crate) fn service(
    ready: Readiness,
    commands: Arc<OnceLock<Router>>,
) -> IntoMakeServiceWithConnectInfo<Router, SocketAddr> {
    router(ready, commands).into_make_service_with_connect_info()
}

fn router(ready: Readiness, commands: Arc<OnceLock<Router>>) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(move || async move { health(&ready) }))
        .route("/metrics", get(render))
        .fallback(move |peer, request| command_of(commands, peer, request))
}

async fn command_of(
    commands: Arc<OnceLock<Router>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    // Whoever collects the metrics reaches this listener, too, and shall not rotate keys with it.
    if !peer.ip().to_canonical().is_loopback() {
        return Problem::forbidden(
            "maintenance commands are for the machine or container itself: run the program there",
        )
        .into_response();
    }
    match commands.get() {
        Some(commands) => match commands.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        },
        None => Problem::unavailable("still starting: /health/ready says what it waits for")
            .into_response(),
    }
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

/// How the last line begins of an answer that was begun as a success and did not end as one.
pub const FAILED: &str = "error: ";

/// Asks the running process to do `path` (with its query, if any), and writes what it answers to
/// `output` as it comes. An error unless it was done: unless the status says so, the answer came to
/// its end, and its last line does not begin with [`FAILED`].
pub async fn command(
    admin: SocketAddr,
    path: &str,
    output: &mut impl std::io::Write,
) -> anyhow::Result<()> {
    let url = format!("http://{}{path}", reachable(admin));
    let mut response = reqwest::Client::new()
        .post(&url)
        .send()
        .await
        .with_context(|| {
            format!("nobody answers at {admin}: is it running, and is KURZ_ADMIN_LISTEN the same?")
        })?;
    let status = response.status();
    let mut last_line = Vec::new();
    while let Some(bytes) = response
        .chunk()
        .await
        .context("the answer was cut off: look at the log of the service")?
    {
        output.write_all(&bytes)?;
        output.flush()?;
        keep_last_line(&mut last_line, &bytes);
    }
    anyhow::ensure!(
        status.is_success(),
        "not done ({})",
        StatusCode::as_u16(&status)
    );
    anyhow::ensure!(!last_line.starts_with(FAILED.as_bytes()), "not done");
    Ok(())
}

/// Adds `bytes` to a text of which only the last line that is not empty is kept. A progress line
/// ends with a carriage return, any other with a line feed.
fn keep_last_line(line: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        let ended = line
            .last()
            .is_some_and(|last| matches!(last, b'\n' | b'\r'));
        if ended && !matches!(byte, b'\n' | b'\r') {
            line.clear();
        }
        line.push(byte);
    }
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

#[cfg(test)]
mod tests {
    use axum::extract::connect_info::MockConnectInfo;
    use axum::routing::post;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn only_the_own_machine_may_give_commands() {
        for (peer, status) in [
            ("127.0.0.1:1", 200),
            ("[::1]:1", 200),
            ("[::ffff:127.0.0.1]:1", 200),
            ("10.244.1.7:1", 403),
            ("[::ffff:10.244.1.7]:1", 403),
        ] {
            let peer: SocketAddr = peer.parse().unwrap();
            let commands = Router::new().route("/keys/rotate", post(|| async { "rotated" }));
            let commands = Arc::new(OnceLock::from(commands));
            let admin = router(Readiness::default(), commands).layer(MockConnectInfo(peer));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let serving = tokio::spawn(async move { axum::serve(listener, admin).await });
            let client = reqwest::Client::new();
            let command = client.post(format!("{url}/keys/rotate")).send();
            assert_eq!(command.await.unwrap().status(), status, "{peer}");
            let metrics = client.get(format!("{url}/metrics")).send().await.unwrap();
            assert_eq!(metrics.status(), 200, "{peer}");
            serving.abort();
        }
    }

    #[test]
    fn the_last_line_is_found_in_any_pieces() {
        for pieces in [
            &["1 of 2\r2 of 2\rerror: no\n"][..],
            &["1 of 2", "\r2 of 2\rerr", "or: no", "\n"],
            &["x\n", "error: no", "\n\n"],
        ] {
            let mut line = Vec::new();
            for piece in pieces {
                keep_last_line(&mut line, piece.as_bytes());
            }
            assert!(line.starts_with(b"error: no\n"), "{pieces:?}");
        }
    }
}
