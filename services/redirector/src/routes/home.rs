use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::refusal;
use crate::app::AppState;

/// Short links are not content: nothing here is for a search engine to keep.
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// `GET /`: where the operator wants it to lead, or a small page.
pub async fn home(State(app): State<Arc<AppState>>) -> Response {
    let location = app
        .home_url
        .as_ref()
        .and_then(|url| HeaderValue::from_str(url.as_str()).ok());
    match location {
        Some(location) => {
            let headers = [
                (LOCATION, location),
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            (StatusCode::FOUND, headers).into_response()
        }
        None => refusal::page(
            StatusCode::OK,
            "Short links",
            "This host serves short links. Open one to go where it leads.",
        ),
    }
}

/// `GET /robots.txt`.
pub async fn robots() -> Response {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=86400"),
        ),
    ];
    (headers, ROBOTS).into_response()
}

/// `GET /favicon.ico`: there is none, and browsers need not ask again today.
pub async fn favicon() -> Response {
    let headers = [(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=86400"),
    )];
    (StatusCode::NO_CONTENT, headers).into_response()
}
