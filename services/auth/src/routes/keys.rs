//! The keys that verify access tokens.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use jsonwebtoken::jwk::Jwk;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::Result;

/// How long anybody may keep the keys. A verifier that meets an unknown key asks again anyway;
/// the next key is published long before it signs.
const CACHING: &str = "public, max-age=300";

/// A JSON Web Key Set (RFC 7517).
#[derive(Serialize, ToSchema)]
pub struct KeySet {
    /// Ed25519 public keys (RFC 8037).
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Jwk>,
}

/// Token keys
///
/// The public keys of access tokens: the one that signs, the one that will, and those that did
/// until not long ago.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "jwks",
    tag = "tokens",
    responses((
        status = 200, description = "The keys.", body = KeySet,
        example = json!({
            "keys": [{
                "use": "sig",
                "alg": "EdDSA",
                "kid": "01938c3e-7a54-7b11-9d6f-0f6c1c1a2b3c",
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
            }]
        })
    ))
)]
pub async fn jwks(State(app): State<AppState>) -> impl IntoResponse {
    let keys = app.keys.jwks().keys;
    (
        [(header::CACHE_CONTROL, CACHING)],
        axum::Json(KeySet { keys }),
    )
}

/// `auth rotate-key`: says in a line what happened.
pub async fn rotate(State(app): State<AppState>) -> Result<String> {
    let rotation = app.keys.rotate().await?;
    metrics::counter!("kurz_auth_key_rotations_total").increment(1);
    tracing::info!(
        current = rotation.current,
        next = rotation.next,
        "signing key rotated"
    );
    Ok(format!(
        "signing with {}; next is {}; {} retired, published until their tokens have expired\n",
        rotation.current, rotation.next, rotation.retired
    ))
}
