use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chassis::problem::Problem;
use chassis::telemetry;
use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::refusal::{self, Refusal};
use crate::app::AppState;
use crate::table::{Openness, is_code};

/// Follow a short link
///
/// Answers from memory. The visit is recorded before the answer goes out. What is not a code, and a
/// link whose time has not come, is 404; a link that is disabled or over is 410, or a redirect to
/// its fallback address if it has one.
#[utoipa::path(
    get,
    path = "/{code}",
    operation_id = "follow_link",
    tag = "redirects",
    params(("code" = String, Path, description = "The code of the link", example = "rust",
        min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")),
    responses(
        (status = 301, description = "Moved permanently: the link asks for this status",
            headers(("location" = String, description = "Where the link leads"))),
        (status = 302, description = "Found: what links answer by default",
            headers(("location" = String, description = "Where the link leads"),
                ("cache-control" = String, description = "no-store, so that every visit counts"))),
        (status = 307, description = "Temporary redirect: the link asks for this status",
            headers(("location" = String, description = "Where the link leads"))),
        (status = 308, description = "Permanent redirect: the link asks for this status",
            headers(("location" = String, description = "Where the link leads"))),
        (status = 404, description = "No such link; a page for browsers, else a problem",
            content((Problem = "application/problem+json"), (String = "text/html"))),
        (status = 405, description = "Only GET and HEAD follow a link", body = Problem,
            content_type = "application/problem+json"),
        (status = 410, description = "The link is closed; a page for browsers, else a problem",
            content((Problem = "application/problem+json"), (String = "text/html"))),
        (status = 500, description = "A fault of ours", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "The links are still being loaded, and this one is not there \
            yet; a page for browsers, else a problem",
            content((Problem = "application/problem+json"), (String = "text/html")),
            headers(("retry-after" = u64, description = "Seconds to wait"))),
    )
)]
pub async fn get(State(app): State<Arc<AppState>>, request: Request) -> Response {
    follow(&app, &request.into_parts().0).await
}

/// Ask where a short link leads
///
/// Answers as GET does, without a body. Recorded as a visit of its own kind.
#[utoipa::path(
    head,
    path = "/{code}",
    operation_id = "probe_link",
    tag = "redirects",
    params(("code" = String, Path, description = "The code of the link", example = "rust",
        min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")),
    responses(
        (status = 301, description = "Moved permanently"),
        (status = 302, description = "Found: what links answer by default",
            headers(("location" = String, description = "Where the link leads"))),
        (status = 307, description = "Temporary redirect"),
        (status = 308, description = "Permanent redirect"),
        (status = 404, description = "No such link"),
        (status = 405, description = "Only GET and HEAD follow a link"),
        (status = 410, description = "The link is closed"),
        (status = 500, description = "A fault of ours"),
        (status = 503, description = "The links are still being loaded"),
    )
)]
pub async fn head(State(app): State<Arc<AppState>>, request: Request) -> Response {
    follow(&app, &request.into_parts().0).await
}

/// Any other method on a code.
pub async fn wrong_method(State(app): State<Arc<AppState>>) -> Response {
    app.meters.answered(StatusCode::METHOD_NOT_ALLOWED);
    refusal::wrong_method().await
}

/// Answers, counts, and, for a few requests, times or traces.
async fn follow(app: &AppState, request: &Parts) -> Response {
    let sampled = app.meters.sample();
    let started = sampled.timed.then(Instant::now);
    let peer = AppState::peer(request);
    let answer = or_fault(answer(app, request, peer));
    let response = if sampled.traced || is_traced(app, peer, &request.headers) {
        let span = span(app, peer, &request.headers);
        answer.instrument(span).await
    } else {
        answer.await
    };
    app.meters.answered(response.status());
    if let Some(started) = started {
        app.meters.took(started.elapsed());
    }
    response
}

/// The answer, also if a bug of ours panics: no layer does this here.
async fn or_fault(answer: impl Future<Output = Response>) -> Response {
    // A panic leaves nothing half done that somebody else sees: what is shared guards itself.
    let answer = AssertUnwindSafe(answer).catch_unwind().await;
    answer.unwrap_or_else(|panic| {
        let error = match panic.downcast_ref::<&str>() {
            Some(text) => anyhow::anyhow!("a redirect panicked: {text}"),
            None => anyhow::anyhow!("a redirect panicked"),
        };
        Problem::internal(&error).into_response()
    })
}

async fn answer(app: &AppState, request: &Parts, peer: IpAddr) -> Response {
    let refuse = |refusal: Refusal| refusal.answer(&request.headers);
    // The raw path: no code needs percent-encoding, and what is encoded is not a code.
    let code = request.uri.path().trim_start_matches('/');
    if !is_code(code) {
        return refuse(Refusal::Unknown);
    }
    // Asked first: a table that becomes complete in between is not taken for one that was.
    let is_complete = app.table.is_complete();
    let Some(link) = app.table.find(code) else {
        return refuse(if is_complete {
            Refusal::Unknown
        } else {
            Refusal::NotLoaded
        });
    };
    let now_ms = app.clock.now_ms();
    match link.openness(now_ms) {
        Openness::NotYet => refuse(Refusal::Unknown),
        Openness::Closed => match link.fallback_url() {
            Some(url) => redirect(StatusCode::FOUND, url),
            None => refuse(Refusal::Closed),
        },
        Openness::Open => {
            let client = app.trusted_proxies.resolve(peer, &request.headers);
            let (method, headers) = (&request.method, &request.headers);
            let click = app.observer.click(&link, method, headers, client, now_ms);
            app.recorder.record(&click).settled().await;
            redirect(status_of(link.redirect_status()), link.url())
        }
    }
}

fn redirect(status: StatusCode, url: &str) -> Response {
    let location = HeaderValue::from_str(url).expect("the table holds visible ASCII only");
    let headers = [
        (LOCATION, location),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers).into_response()
}

/// The link's status, if it is one that redirects.
fn status_of(status: u16) -> StatusCode {
    match status {
        301 => StatusCode::MOVED_PERMANENTLY,
        307 => StatusCode::TEMPORARY_REDIRECT,
        308 => StatusCode::PERMANENT_REDIRECT,
        _ => StatusCode::FOUND,
    }
}

/// Whether a trusted proxy asks for a trace. Anybody else could make us trace everything.
fn is_traced(app: &AppState, peer: IpAddr, headers: &HeaderMap) -> bool {
    headers.get("traceparent").is_some_and(|parent| {
        parent.as_bytes().ends_with(b"-01") && app.trusted_proxies.contains(peer)
    })
}

fn span(app: &AppState, peer: IpAddr, headers: &HeaderMap) -> Span {
    let span = tracing::info_span!("redirect", otel.name = "GET /{code}", otel.kind = "server");
    if app.trusted_proxies.contains(peer) {
        telemetry::follow_http_parent(&span, headers);
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_fault_of_ours_and_ends_nobody_elses_connection() {
        let response = or_fault(async { panic!("oh") }).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = &response.headers()["content-type"];
        assert_eq!(content_type, "application/problem+json");
        let response = or_fault(async { redirect(StatusCode::FOUND, "https://a.example/") }).await;
        assert_eq!(response.status(), StatusCode::FOUND);
    }
}
