use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, LOCATION};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chassis::http::{Fields, Head, Shortened, fields, written};
use chassis::problem::Problem;
use chassis::telemetry;
use futures_util::future::BoxFuture;
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
    settled(follow(&app, &request)).await
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
    settled(follow(&app, &request)).await
}

/// Any other method on a code.
pub async fn wrong_method(State(app): State<Arc<AppState>>) -> Response {
    app.meters.answered(StatusCode::METHOD_NOT_ALLOWED);
    refusal::wrong_method().await
}

/// The answers to most requests, without the router: those for whatever may be a code, so that those
/// who try codes cost no more than those who follow links.
pub struct Shortcut(pub Arc<AppState>);

impl chassis::http::Shortcut for Shortcut {
    fn answer(&self, head: &Head<'_>, peer: SocketAddr, to: &mut Vec<u8>) -> Shortened {
        LINK.with_borrow_mut(|bytes| {
            let code = head.path().strip_prefix('/');
            if !code.is_some_and(is_code) {
                return Shortened::Not;
            }
            let link = find(&self.0, head.path(), bytes);
            let (reply, after) = respond(&self.0, head, peer.ip(), link);
            match (reply, after) {
                (Reply::Redirect(status, url), after) => {
                    written::redirect(to, status, url);
                    after.map_or(Shortened::Now, Shortened::After)
                }
                (Reply::Other(response), _) => Shortened::With(response),
            }
        })
    }
}

thread_local! {
    /// The link that is being followed.
    static LINK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a request is answered.
enum Reply<'a> {
    Redirect(StatusCode, &'a str),
    Other(Response),
}

/// Waits until an answer may go out.
async fn settled((response, after): (Response, Option<BoxFuture<'static, ()>>)) -> Response {
    if let Some(after) = after {
        after.await;
    }
    response
}

/// The answer, whatever the table says.
fn follow(app: &Arc<AppState>, request: &Request) -> (Response, Option<BoxFuture<'static, ()>>) {
    let peer = AppState::peer(request);
    LINK.with_borrow_mut(|bytes| {
        let fields = fields(request.headers());
        let head = Head {
            method: request.method(),
            target: request.uri().path(),
            fields: Fields::new(&fields),
        };
        let link = find(app, head.path(), bytes);
        let (reply, after) = respond(app, &head, peer, link);
        let response = match reply {
            Reply::Redirect(status, url) => redirect(head.method, status, url),
            Reply::Other(response) => response,
        };
        (response, after)
    })
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
/// reach more than the spool first: then the answer may go out when the future has ended.
fn respond<'a>(
    app: &Arc<AppState>,
    head: &Head<'_>,
    peer: IpAddr,
    link: Result<LinkRef<'a>, Refusal>,
) -> (Reply<'a>, Option<BoxFuture<'static, ()>>) {
    let sampled = app.meters.sample();
    let started = sampled.timed.then(Instant::now);
    let is_traced = sampled.traced || is_traced(app, peer, head.fields);
    let span = is_traced.then(|| span(app, peer, head.fields));
    let (reply, receipt) = or_fault(|| match &span {
        Some(span) => span.in_scope(|| answer(app, head, peer, link)),
        None => answer(app, head, peer, link),
    });
    let status = reply.status();
    if receipt.is_settled() {
        app.meters.done(status, started);
        return (reply, None);
    }
    let app = Arc::clone(app);
    let settled = receipt
        .settled()
        .instrument(span.unwrap_or_else(Span::none));
    let after = Box::pin(async move {
        settled.await;
        app.meters.done(status, started);
    });
    (reply, Some(after))
}

impl Reply<'_> {
    fn status(&self) -> StatusCode {
        match self {
            Self::Redirect(status, _) => *status,
            Self::Other(response) => response.status(),
        }
    }
}

/// The answer, also if a bug of ours panics: no layer does this here.
fn or_fault<'a>(answer: impl FnOnce() -> (Reply<'a>, Receipt)) -> (Reply<'a>, Receipt) {
    // A panic leaves nothing half done that somebody else sees: what is shared guards itself.
    let answer = std::panic::catch_unwind(AssertUnwindSafe(answer));
    answer.unwrap_or_else(|panic| {
        let error = match panic.downcast_ref::<&str>() {
            Some(text) => anyhow::anyhow!("a redirect panicked: {text}"),
            None => anyhow::anyhow!("a redirect panicked"),
        };
        let response = Problem::internal(&error).into_response();
        (Reply::Other(response), Receipt::nothing())
    })
}

fn answer<'a>(
    app: &AppState,
    head: &Head<'_>,
    peer: IpAddr,
    link: Result<LinkRef<'a>, Refusal>,
) -> (Reply<'a>, Receipt) {
    let refuse = |refusal: Refusal| {
        let response = refusal.answer(head.fields.get_all("accept"));
        (Reply::Other(response), Receipt::nothing())
    };
    let link = match link {
        Ok(link) => link,
        Err(refusal) => return refuse(refusal),
    };
    let now_ms = app.clock.now_ms();
    match link.openness(now_ms) {
        Openness::NotYet => refuse(Refusal::Unknown),
        Openness::Closed => match link.into_fallback_url() {
            Some(url) => (Reply::Redirect(StatusCode::FOUND, url), Receipt::nothing()),
            None => refuse(Refusal::Closed),
        },
        Openness::Open => {
            let forwarded = head.fields.get_all("x-forwarded-for");
            let client = app.trusted_proxies.resolve(peer, forwarded);
            let visit = app.observer.visit(head, client, now_ms);
            let receipt = app.recorder.record(visit.of(&link));
            let status = status_of(link.redirect_status());
            (Reply::Redirect(status, link.into_url()), receipt)
        }
    }
}

fn redirect(method: &Method, status: StatusCode, url: &str) -> Response {
    let location = HeaderValue::from_str(url).expect("the table holds visible ASCII only");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What a GET is told; hyper adds it there.
    if method == Method::HEAD {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
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
fn is_traced(app: &AppState, peer: IpAddr, fields: Fields<'_>) -> bool {
    fields
        .get("traceparent")
        .is_some_and(|parent| parent.ends_with(b"-01") && app.trusted_proxies.contains(peer))
}

fn span(app: &AppState, peer: IpAddr, fields: Fields<'_>) -> Span {
    let span = tracing::info_span!("redirect", otel.name = "GET /{code}", otel.kind = "server");
    if app.trusted_proxies.contains(peer) {
        telemetry::follow_http_parent(&span, &fields.to_map());
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault_of_ours_and_ends_nobody_elses_connection() {
        let (reply, _) = or_fault(|| panic!("oh"));
        let Reply::Other(response) = reply else {
            panic!("a problem");
        };
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = &response.headers()["content-type"];
        assert_eq!(content_type, "application/problem+json");
        let good = || Reply::Redirect(StatusCode::FOUND, "https://a.example/");
        let (reply, _) = or_fault(|| (good(), Receipt::nothing()));
        assert_eq!(reply.status(), StatusCode::FOUND);
    }
}
