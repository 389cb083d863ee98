//! The table of paths.
//!
//! None of them carries a layer: on the redirect route generic middleware costs as much as all the
//! rest of a redirect (docs/adr/0001-click-spool.md has the figures of a redirect), and nothing here reads a body.
//! A request for what may be a code does not even come here: [`Shortcut`] has answered it, most often
//! without hyper (docs/adr/0012-simple-requests-are-read-in-place.md).

mod follow;
mod home;
mod refusal;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use utoipa::OpenApi;

use crate::app::AppState;

pub use follow::Shortcut;

/// All public routes. What is not a code leads nowhere.
pub fn router(state: Arc<AppState>) -> Router {
    Router::new()
        .route("/", get(home::home).fallback(refusal::wrong_method))
        .route(
            "/robots.txt",
            get(home::robots).fallback(refusal::wrong_method),
        )
        .route(
            "/favicon.ico",
            get(home::favicon).fallback(refusal::wrong_method),
        )
        .route(
            "/{code}",
            get(follow::get)
                .head(follow::head)
                .fallback(follow::wrong_method),
        )
        .fallback(refusal::unknown)
        .with_state(state)
}

/// The description of the redirect route (`OpenAPI` 3.1).
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(
        info(title = "redirector", description = "Follows short links"),
        paths(follow::get, follow::head),
        components(schemas(chassis::problem::Problem)),
        tags((name = "redirects", description = "Short links, as browsers follow them"))
    )]
    struct Description;

    Description::openapi()
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_methods_are_described_with_every_status() {
        let document = serde_json::to_value(super::openapi()).unwrap();
        for method in ["get", "head"] {
            let responses = &document["paths"]["/{code}"][method]["responses"];
            for status in [
                "301", "302", "307", "308", "404", "405", "410", "500", "503",
            ] {
                assert!(responses[status].is_object(), "{method} {status}");
            }
        }
    }
}
