use axum::Router;
use axum::extract::FromRef;
use chassis::bus::{Bus, BusConfig};
use chassis::caller::{Caller, Verifier};
use chassis::client_address::{ClientAddress, TrustedProxies};
use chassis::env::Env;
use chassis::extract::{Json, Path, Query};
use chassis::problem::Problem;
use chassis::service::{Context, Opened, Service};
use chassis::shutdown::Shutdown;
use chassis::testing::NatsServer;
use serde::Deserialize;
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A service that does nothing of its own.
pub struct Echo;

#[derive(Clone)]
struct State {
    verifier: Verifier,
    trusted: TrustedProxies,
}

impl FromRef<State> for Verifier {
    fn from_ref(state: &State) -> Self {
        state.verifier.clone()
    }
}

impl FromRef<State> for TrustedProxies {
    fn from_ref(state: &State) -> Self {
        state.trusted.clone()
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Body {
    number: u32,
}

impl Service for Echo {
    const NAME: &'static str = "echo";
    type Config = Url;

    fn config(env: &mut Env) -> Option<Url> {
        env.required("KURZ_JWKS_URL")
    }

    async fn open(jwks_url: Url, context: Context) -> anyhow::Result<Opened> {
        let state = State {
            verifier: Verifier::remote(jwks_url, &context.issuer(), context.clock.clone()),
            trusted: context.trusted_proxies.clone(),
        };
        let table = OpenApiRouter::new()
            .routes(routes!(me))
            .routes(routes!(double))
            .routes(routes!(item))
            .routes(routes!(panics))
            .routes(routes!(address));
        let (router, _) = chassis::http::api("/echo", table, state);
        Ok(Opened {
            router,
            admin: Router::new(),
        })
    }
}

#[utoipa::path(get, path = "/me", responses((status = 200, body = String)))]
async fn me(caller: Caller) -> String {
    caller.user_id.to_string()
}

#[utoipa::path(post, path = "/double", responses((status = 200, body = String)))]
async fn double(Json(body): Json<Body>) -> String {
    (u64::from(body.number) * 2).to_string()
}

#[utoipa::path(get, path = "/items/{id}", responses((status = 200, body = String)))]
async fn item(Path(id): Path<u32>, Query(query): Query<Body>) -> String {
    format!("{id} {}", query.number)
}

#[utoipa::path(get, path = "/panics", responses((status = 500, body = Problem)))]
async fn panics() -> String {
    panic!("a fault of ours")
}

#[utoipa::path(get, path = "/address", responses((status = 200, body = String)))]
async fn address(ClientAddress(address): ClientAddress) -> String {
    address.to_string()
}

pub async fn bus(nats: &NatsServer) -> Bus {
    let config = BusConfig {
        url: nats.url(),
        credentials: None,
        replicas: 1,
    };
    Bus::connect(&config, "test", &Shutdown::new())
        .await
        .unwrap()
}
