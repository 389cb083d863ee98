//! Serving HTTP: the layers that all APIs share, and a listener that stops in order.

mod direct;
mod head;
mod layers;
mod server;
mod shortcut;
pub mod written;

use axum::extract::{DefaultBodyLimit, OriginalUri};
use axum::http::{Method, StatusCode};
use axum::routing::get;
use axum::{Json, Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::problem::Problem;

pub use head::{Field, Fields, Head, Received, fields};
pub(crate) use server::serve;
pub use shortcut::{Shortcut, ShortcutSlot, Shortened};

/// The largest request body, in bytes: a link with two URLs of the greatest length fits.
pub const MAX_BODY: usize = 64 * 1024;

/// How long an answer may take to begin.
pub const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// The complete public router of an API under `prefix`, and its description.
///
/// Every request gets an id, a span, metrics by route and status, a bound on its body and its
/// time; every refusal, also 404, 405, 413 and a panic, is a problem. The description is served
/// at `{prefix}/openapi.json`.
pub fn api<S>(prefix: &str, routes: OpenApiRouter<S>, state: S) -> (Router, OpenApi)
where
    S: Clone + Send + Sync + 'static,
{
    let (routes, document) = routes.split_for_parts();
    let document = under(prefix, document);
    let served = document.clone();
    let routes = routes
        .route("/openapi.json", get(move || async move { Json(served) }))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::map_response(layers::timed_out))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            TIMEOUT,
        ))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(middleware::from_fn(layers::observe))
        .with_state(state);
    // Alone, a service also refuses what is outside its prefix; kurz leaves that to redirects.
    (
        Router::new().nest(prefix, routes).fallback(nothing_here),
        document,
    )
}

/// The description with every path under `prefix`.
fn under(prefix: &str, document: OpenApi) -> OpenApi {
    let mut outer = OpenApi::default();
    outer.info = document.info.clone();
    outer.nest(prefix, document)
}

async fn nothing_here(OriginalUri(uri): OriginalUri) -> Problem {
    Problem::not_found(format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!(
            "{} does not answer to {method}; see the Allow header",
            uri.path()
        ),
    )
}
