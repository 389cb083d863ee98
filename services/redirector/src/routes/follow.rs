use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chassis::http::Shortened;
use chassis::problem::Problem;
use chassis::telemetry;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::refusal::{self, Refusal};
use crate::app::AppState;
use crate::recorder::Receipt;
use crate::table::{LinkRef, Openness, is_code};

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
    follow(&app, request.into_parts().0).await
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
    follow(&app, request.into_parts().0).await
}

/// Any other method on a code.
pub async fn wrong_method(State(app): State<Arc<AppState>>) -> Response {
    app.meters.answered(StatusCode::METHOD_NOT_ALLOWED);
    refusal::wrong_method().await
}

/// The answers to most requests, without the router: those for a link that is in the table.
pub struct Shortcut(pub Arc<AppState>);

impl chassis::http::Shortcut for Shortcut {
    fn answer(&self, request: Parts, peer: SocketAddr) -> Shortened {
        if request.method != Method::GET && request.method != Method::HEAD {
            return Shortened::Not(request);
        }
        LINK.with_borrow_mut(|bytes| {
            let code = request.uri.path().strip_prefix('/');
            let link = code
                .filter(|code| is_code(code))
                .and_then(|code| self.0.table.find(code, bytes));
            match link {
                Some(link) => respond(&self.0, request, peer.ip(), Ok(link)),
                None => Shortened::Not(request),
            }
        })
    }
}

thread_local! {
    /// The link that is being followed.
    static LINK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The answer, whatever the table says.
async fn follow(app: &Arc<AppState>, request: Parts) -> Response {
    let peer = AppState::peer(&request);
    let answer = LINK.with_borrow_mut(|bytes| {
        let link = find(app, request.uri.path(), bytes);
        respond(app, request, peer, link)
    });
    match answer {
        Shortened::Now(response) => response,
        Shortened::Later(response) => response.await,
        Shortened::Not(_) => unreachable!("`respond` answers"),
    }
}

fn find<'a>(app: &AppState, path: &str, bytes: &'a mut Vec<u8>) -> Result<LinkRef<'a>, Refusal> {
    // The raw path: no code needs percent-encoding, and what is encoded is not a code.
    let code = path.trim_start_matches('/');
    if !is_code(code) {
        return Err(Refusal::Unknown);
    }
    // Asked first: a table that becomes complete in between is not taken for one that was.
    let is_complete = app.table.is_complete();
    let absent = if is_complete {
        Refusal::Unknown
    } else {
        Refusal::NotLoaded
    };
    app.table.find(code, bytes).ok_or(absent)
}

/// Answers, counts, and, for a few requests, times or traces. At once, unless the click has to
/// reach more than the spool first.
fn respond(
    app: &Arc<AppState>,
    request: Parts,
    peer: IpAddr,
    link: Result<LinkRef<'_>, Refusal>,
) -> Shortened {
    let sampled = app.meters.sample();
    let started = sampled.timed.then(Instant::now);
    let is_traced = sampled.traced || is_traced(app, peer, &request.headers);
    let span = is_traced.then(|| span(app, peer, &request.headers));
    let (response, receipt) = or_fault(|| match &span {
        Some(span) => span.in_scope(|| answer(app, request, peer, link)),
        None => answer(app, request, peer, link),
    });
    if receipt.is_settled() {
        app.meters.done(response.status(), started);
        return Shortened::Now(response);
    }
    let app = Arc::clone(app);
    let settled = receipt
        .settled()
        .instrument(span.unwrap_or_else(Span::none));
    Shortened::Later(Box::pin(async move {
        settled.await;
        app.meters.done(response.status(), started);
        response
    }))
}

/// The answer, also if a bug of ours panics: no layer does this here.
fn or_fault(answer: impl FnOnce() -> (Response, Receipt)) -> (Response, Receipt) {
    // A panic leaves nothing half done that somebody else sees: what is shared guards itself.
    let answer = std::panic::catch_unwind(AssertUnwindSafe(answer));
    answer.unwrap_or_else(|panic| {
        let error = match panic.downcast_ref::<&str>() {
            Some(text) => anyhow::anyhow!("a redirect panicked: {text}"),
            None => anyhow::anyhow!("a redirect panicked"),
        };
        let response = Problem::internal(&error).into_response();
        (response, Receipt::nothing())
    })
}

fn answer(
    app: &AppState,
    request: Parts,
    peer: IpAddr,
    link: Result<LinkRef<'_>, Refusal>,
) -> (Response, Receipt) {
    let refuse = |refusal: Refusal| (refusal.answer(&request.headers), Receipt::nothing());
    let link = match link {
        Ok(link) => link,
        Err(refusal) => return refuse(refusal),
    };
    let now_ms = app.clock.now_ms();
    match link.openness(now_ms) {
        Openness::NotYet => refuse(Refusal::Unknown),
        Openness::Closed => match link.fallback_url() {
            Some(url) => {
                let response = redirect(request, StatusCode::FOUND, url);
                (response, Receipt::nothing())
            }
            None => refuse(Refusal::Closed),
        },
        Openness::Open => {
            let (method, headers) = (&request.method, &request.headers);
            let client = app.trusted_proxies.resolve(peer, headers);
            let visit = app.observer.visit(method, headers, client, now_ms);
            let receipt = app.recorder.record(visit.of(&link));
            let status = status_of(link.redirect_status());
            (redirect(request, status, link.url()), receipt)
        }
    }
}

/// A redirect in the memory of the request's headers, which nobody needs any more.
fn redirect(request: Parts, status: StatusCode, url: &str) -> Response {
    let location = HeaderValue::from_str(url).expect("the table holds visible ASCII only");
    let mut headers = request.headers;
    headers.clear();
    // What a GET is told; hyper adds it there.
    if request.method == Method::HEAD {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
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

    #[test]
    fn a_panic_is_a_fault_of_ours_and_ends_nobody_elses_connection() {
        let (response, _) = or_fault(|| panic!("oh"));
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = &response.headers()["content-type"];
        assert_eq!(content_type, "application/problem+json");
        let (request, ()) = Request::new(()).into_parts();
        let good = || redirect(request, StatusCode::FOUND, "https://a.example/");
        let (response, _) = or_fault(|| (good(), Receipt::nothing()));
        assert_eq!(response.status(), StatusCode::FOUND);
    }

    #[test]
    fn nothing_of_the_request_comes_back() {
        let (mut request, ()) = Request::new(()).into_parts();
        for name in ["cookie", "location", "user-agent", "x-other"] {
            request
                .headers
                .append(name, HeaderValue::from_static("secret"));
        }
        let response = redirect(request, StatusCode::FOUND, "https://a.example/");
        let answered: Vec<_> = response.headers().iter().collect();
        let expected = [
            ("location", "https://a.example/"),
            ("cache-control", "no-store"),
        ];
        assert_eq!(answered.len(), expected.len());
        for (name, value) in expected {
            assert_eq!(response.headers()[name], value);
        }
    }
}
