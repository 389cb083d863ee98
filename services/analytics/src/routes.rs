//! The table of paths.

mod bodies;
mod breakdown;
mod feed;
mod links;
mod query;
mod refusals;
mod series;
mod stream;
mod summary;
mod tickets;
mod totals;

use axum::{Router, middleware};
use chassis::http;
use chassis::problem::{FieldError, Problem};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::forward;
use crate::state::AppState;

/// What stands before all paths of the API. Served by us as it is, so an Ingress rewrites nothing.
const PREFIX: &str = "/analytics";

/// The public routes.
pub fn router(state: AppState) -> Router {
    let table = if state.others.is_some() {
        let forward = middleware::from_fn_with_state(state.clone(), forward::forward);
        table().route_layer(forward)
    } else {
        table()
    };
    http::api(PREFIX, table, state).0
}

/// The description of the public API, OpenAPI 3.1.
pub fn openapi() -> OpenApi {
    OpenApiRouter::<AppState>::new()
        .nest(PREFIX, table())
        .into_openapi()
}

fn table() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(summary::summary))
        .routes(routes!(links::list))
        .routes(routes!(totals::totals))
        .routes(routes!(series::series))
        .routes(routes!(breakdown::breakdown))
        .routes(routes!(stream::all))
        .routes(routes!(stream::one))
        .routes(routes!(tickets::issue))
        .routes(routes!(feed::show, feed::set))
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "kurz analytics", description = "What happened to your links."),
    tags(
        (name = "statistics", description = "What your links' clicks add up to. A parameter that \
            an operation does not know is refused with 422: a filter with a misspelled name would \
            give wrong numbers."),
        (name = "live", description = "Clicks as they are counted, as Server-Sent Events."),
        (name = "feed", description = "Clicks as they are counted, for programs on NATS.")
    ),
    components(schemas(Problem, FieldError)),
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
