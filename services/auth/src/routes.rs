//! The table of paths.

mod keys;
mod refusals;
mod tokens;
mod users;

use axum::Router;
use axum::routing::post;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;

/// What stands before all public paths.
const PREFIX: &str = "/auth";

/// The public routes, and their description.
pub fn public(state: AppState) -> (Router, OpenApi) {
    chassis::http::api(PREFIX, table(), state)
}

/// Maintenance, for the admin listener only.
pub fn admin(state: AppState) -> Router {
    Router::new()
        .route("/keys/rotate", post(keys::rotate))
        .with_state(state)
}

/// The `OpenAPI` 3.1 description of the public API.
pub fn openapi() -> OpenApi {
    let document = table().into_openapi();
    let mut outer = OpenApi::default();
    outer.info = document.info.clone();
    outer.nest(PREFIX, document)
}

fn table() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(users::register))
        .routes(routes!(users::me))
        .routes(routes!(users::change_password))
        .routes(routes!(users::close))
        .routes(routes!(tokens::log_in))
        .routes(routes!(tokens::refresh))
        .routes(routes!(tokens::revoke))
        .routes(routes!(keys::jwks))
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "kurz auth", description = "Accounts and tokens."),
    tags(
        (name = "accounts", description = "Register, change the password, leave."),
        (name = "tokens", description = "Sign in, stay signed in, sign out.")
    ),
    modifiers(&AccessToken)
)]
struct Description;

/// The security scheme of all services: an access token of this one.
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
