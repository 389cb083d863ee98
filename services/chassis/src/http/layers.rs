use std::any::Any;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use crate::problem::Problem;
use crate::telemetry;

/// The header with the id of a request.
const REQUEST_ID: &str = "x-request-id";

/// The longest id that is taken over from the client or the proxy, in bytes.
const MAX_REQUEST_ID: usize = 64;

/// Gives the request an id and a span, and counts and times it.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&request);
    let method = request.method().as_str().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let span = span(&request, &method, &route, &id);
    // Whoever hands the request on keeps its id.
    if let Ok(id) = HeaderValue::from_str(&id) {
        request.headers_mut().insert(REQUEST_ID, id);
    }
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("status", status.as_u16());
    span.in_scope(|| tracing::debug!(status = status.as_u16(), "answered"));
    record(&method, &route, status, started);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn span(request: &Request, method: &str, route: &str, id: &str) -> Span {
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        method,
        route,
        request_id = id,
        status = tracing::field::Empty,
    );
    telemetry::follow_http_parent(&span, request.headers());
    span
}

/// The id that came with the request if it is a sane one, else a new one.
fn request_id(request: &Request) -> String {
    request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(|id| {
            (1..=MAX_REQUEST_ID).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_graphic())
        })
        .map_or_else(|| Uuid::now_v7().to_string(), ToOwned::to_owned)
}

fn record(method: &str, route: &str, status: StatusCode, started: Instant) {
    // Anybody may invent a method; its name must not become a time series.
    let method = match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method.to_owned(),
        _ => "other".to_owned(),
    };
    let route = route.to_owned();
    let seconds = started.elapsed().as_secs_f64();
    let status = status.as_u16().to_string();
    metrics::counter!(
        "kurz_http_requests_total",
        "method" => method.clone(), "route" => route.clone(), "status" => status
    )
    .increment(1);
    metrics::histogram!("kurz_http_request_seconds", "method" => method, "route" => route)
        .record(seconds);
}

/// A time-out answers without a body; gives it one.
pub(super) async fn timed_out(response: Response) -> Response {
    let bare = response.status() == StatusCode::GATEWAY_TIMEOUT
        && !response.headers().contains_key("content-type");
    if bare {
        return Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "the answer took too long: try again",
        )
        .into_response();
    }
    response
}

/// A panic is a fault of ours like any other.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is the layer's"
)]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".to_owned());
    Problem::internal(&anyhow::anyhow!("a handler panicked: {text}")).into_response()
}
