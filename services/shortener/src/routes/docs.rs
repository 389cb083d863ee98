//! The merged OpenAPI document of all services, and a page to browse it. Everything comes from
//! this binary: nothing is loaded from elsewhere.

use axum::Router;
use axum::http::header::{
    ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chassis::problem::Problem;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// The committed document; a test of the workspace fails when it differs from the code.
const OPENAPI: &str = include_str!("../../../../docs/openapi.json");

/// Where the document is.
const OPENAPI_PATH: &str = "/docs/openapi.json";

/// Only our own files; the page sets styles inline and has its icons as data URLs.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// A refusal is a problem here too; the page's router only knows bare statuses.
async fn refuse(mut response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() {
        return response;
    }
    let text = match status {
        StatusCode::METHOD_NOT_ALLOWED => "this can only be read",
        _ => "there is no such file in the documentation",
    };
    let mut problem = Problem::new(status, text);
    if let Some(allow) = response.headers_mut().remove(ALLOW) {
        problem = problem.header(ALLOW, allow);
    }
    problem.into_response()
}

/// `/docs` and the document.
pub fn router() -> Router {
    let header = |name, value| SetResponseHeaderLayer::overriding(name, value);
    let page = SwaggerUi::new("/docs").config(Config::from(OPENAPI_PATH));
    Router::new()
        .route(
            OPENAPI_PATH,
            get(|| async { ([(CONTENT_TYPE, "application/json")], OPENAPI) }),
        )
        .merge(page)
        .layer(map_response(refuse))
        .layer(header(CONTENT_SECURITY_POLICY, POLICY))
        .layer(header(
            X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(header(
            REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ))
}
