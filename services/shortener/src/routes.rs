//! The table of paths.

mod bodies;
mod docs;
mod link;
mod links;
mod query;
mod refusals;

use axum::Router;
use chassis::http;
use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, Paths};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;

/// What stands before all paths of the API. Served by us as it is, so an Ingress rewrites nothing.
const PREFIX: &str = "/shortener";

/// The public routes: the API, and the documentation of all services.
pub fn public(state: AppState) -> Router {
    let (api, _) = http::api(PREFIX, table(), state);
    api.merge(docs::router())
}

/// The description of the public API, OpenAPI 3.1.
pub fn openapi() -> OpenApi {
    let document = table().into_openapi();
    OpenApi::new(document.info.clone(), Paths::new()).nest(PREFIX, document)
}

fn table() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(links::create, links::list, links::delete_all))
        .routes(routes!(link::get, link::update, link::delete))
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "kurz shortener", description = "Short links: make, list, change, delete."),
    tags((name = "links", description = "Make, list, change and delete short links.")),
    modifiers(&AccessToken)
)]
struct Description;

/// The security scheme of all services: an access token of auth.
struct AccessToken;

impl utoipa::Modify for AccessToken {
    fn modify(&self, openapi: &mut OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("access_token", SecurityScheme::Http(bearer));
    }
}
