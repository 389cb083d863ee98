//! Signing in, staying signed in, signing out.

use std::net::IpAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use chassis::client_address::ClientAddress;
use chassis::extract::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::refusals::{OfAttempts, OfBody, OfService};
use super::users::NO_STORE;
use crate::app::AppState;
use crate::domain::{Password, RefreshToken, Username};
use crate::error::{Error, Result};
use crate::hashing::Verdict;
use crate::signing::ACCESS_TOKEN_LIFETIME;
use crate::store::{NewSession, Refreshed};

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
pub struct Credentials {
    /// In any spelling.
    #[schema(
        min_length = 3,
        max_length = 64,
        pattern = "^[A-Za-z0-9][A-Za-z0-9._@+-]{2,63}$",
        example = "ada"
    )]
    username: String,
    /// The account's password.
    #[schema(
        value_type = String, format = Password, min_length = 1, max_length = 256,
        example = "correct horse battery staple"
    )]
    password: Password,
}

/// A refresh token to spend.
#[derive(Deserialize, ToSchema)]
pub struct Refresh {
    /// As it was given out.
    #[schema(
        min_length = 64,
        max_length = 64,
        pattern = "^[A-Za-z0-9_-]{64}$",
        example = "bWFyeSBoYWQgYSBsaXR0bGUgbGFtYiB3aG9zZSBmbGVlY2Ugd2FzIHdoaXRlIGFz"
    )]
    refresh_token: String,
}

/// A session to end.
#[derive(Deserialize, ToSchema)]
pub struct Revocation {
    /// Its refresh token. What is none is not refused: it has no session.
    #[schema(example = "bWFyeSBoYWQgYSBsaXR0bGUgbGFtYiB3aG9zZSBmbGVlY2Ugd2FzIHdoaXRlIGFz")]
    refresh_token: String,
}

/// What somebody who is signed in holds.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// For the header `Authorization: Bearer …` of every service.
    #[schema(
        example = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSIsImtpZCI6IjAxOTM4YzNlIn0.eyJpc3MiOiJodHRwczovL2t1cnouZXhhbXBsZSJ9.c2lnbmF0dXJl"
    )]
    access_token: String,
    /// `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until the access token expires.
    #[schema(example = 900)]
    expires_in: i64,
    /// Good for one `POST /auth/tokens/refresh` within 30 days.
    #[schema(example = "bWFyeSBoYWQgYSBsaXR0bGUgbGFtYiB3aG9zZSBmbGVlY2Ugd2FzIHdoaXRlIGFz")]
    refresh_token: String,
}

impl Tokens {
    fn of(app: &AppState, user_id: Uuid, session_id: Uuid, refresh: &RefreshToken) -> Result<Self> {
        Ok(Self {
            access_token: app.keys.sign(user_id, session_id)?,
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_LIFETIME.as_secs(),
            refresh_token: refresh.reveal(),
        })
    }
}

/// Sign in
///
/// A wrong password and an unknown username get the same answer, after the same work. Up to 50
/// sessions of an account live at a time; a further one ends the one that was used longest ago.
#[utoipa::path(
    post,
    path = "/tokens",
    operation_id = "log_in",
    tag = "tokens",
    request_body(
        content = Credentials,
        example = json!({ "username": "ada", "password": "correct horse battery staple" })
    ),
    responses(
        (
            status = 200, description = "Signed in.", body = Tokens,
            example = json!({
                "access_token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSIsImtpZCI6IjAxOTM4YzNlIn0.eyJpc3MiOiJodHRwczovL2t1cnouZXhhbXBsZSJ9.c2lnbmF0dXJl",
                "token_type": "Bearer",
                "expires_in": 900,
                "refresh_token": "bWFyeSBoYWQgYSBsaXR0bGUgbGFtYiB3aG9zZSBmbGVlY2Ugd2FzIHdoaXRlIGFz"
            })
        ),
        (
            status = 401, description = "No such username, or another password.",
            body = chassis::problem::Problem, content_type = "application/problem+json",
            example = json!({
                "type": "about:blank", "title": "Unauthorized", "status": 401,
                "detail": "the username or the password is wrong"
            })
        ),
        OfBody, OfAttempts, OfService
    )
)]
pub async fn log_in(
    State(app): State<AppState>,
    ClientAddress(address): ClientAddress,
    Json(credentials): Json<Credentials>,
) -> Result<impl IntoResponse> {
    let tokens = sign_in(&app, address, credentials).await;
    let outcome = match &tokens {
        Ok(_) => "success",
        Err(Error::BadCredentials) => "wrong",
        Err(Error::TooManyAttempts(_)) => "limited",
        Err(Error::Busy) => "busy",
        Err(_) => "failed",
    };
    metrics::counter!("kurz_auth_log_ins_total", "outcome" => outcome).increment(1);
    Ok(([NO_STORE], axum::Json(tokens?)))
}

async fn sign_in(app: &AppState, address: IpAddr, credentials: Credentials) -> Result<Tokens> {
    let attempt = app
        .gate
        .attempt(address, &credentials.username, app.clock.now_ms())?;
    let user = match Username::parse(&credentials.username) {
        Ok(username) => app.store.user_named(username).await?,
        Err(_) => None,
    };
    let stored = user.as_ref().map(|user| user.password_hash.clone());
    let verdict = app.hasher.verify(credentials.password, stored).await;
    let verdict = verdict.inspect_err(|error| app.gate.excuse(&attempt, error))?;
    let (Some(user), Verdict::Right { rehashed }) = (user, verdict) else {
        return Err(Error::BadCredentials);
    };
    app.gate.give_back(&attempt);
    let (id, token) = (Uuid::now_v7(), RefreshToken::first());
    let session = NewSession {
        id,
        user_id: user.id,
        token: token.clone(),
        created_at: app.clock.now(),
    };
    app.store
        .sign_in(session, user.password_hash, rehashed)
        .await?;
    Tokens::of(app, user.id, id, &token)
}

/// Stay signed in
///
/// The refresh token is spent, and the answer holds the next one. A token that comes a second
/// time may have been stolen, so it ends the whole session. That is also why a client that did
/// not get the answer must sign in again.
#[utoipa::path(
    post,
    path = "/tokens/refresh",
    operation_id = "refresh",
    tag = "tokens",
    request_body(
        content = Refresh,
        example = json!({
            "refresh_token": "bWFyeSBoYWQgYSBsaXR0bGUgbGFtYiB3aG9zZSBmbGVlY2Ugd2FzIHdoaXRlIGFz"
        })
    ),
    responses(
        (
            status = 200, description = "The next tokens.", body = Tokens,
            example = json!({
                "access_token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSIsImtpZCI6IjAxOTM4YzNlIn0.eyJpc3MiOiJodHRwczovL2t1cnouZXhhbXBsZSJ9.c2lnbmF0dXJl",
                "token_type": "Bearer",
                "expires_in": 900,
                "refresh_token": "bWFyeSBoYWQgYSBsaXR0bGUgbGFtYiB0aGF0IGZvbGxvd2VkIGhlciBhbGwg"
            })
        ),
        (
            status = 401, description = "The refresh token is unknown, spent or expired.",
            body = chassis::problem::Problem, content_type = "application/problem+json",
            example = json!({
                "type": "about:blank", "title": "Unauthorized", "status": 401,
                "detail": "the refresh token is not valid, sign in again"
            })
        ),
        OfBody, OfService
    )
)]
pub async fn refresh(
    State(app): State<AppState>,
    Json(request): Json<Refresh>,
) -> Result<impl IntoResponse> {
    let token = RefreshToken::parse(&request.refresh_token).ok_or(Error::BadRefreshToken)?;
    let successor = token.successor();
    match app
        .store
        .refresh(token, successor.clone(), app.clock.now())
        .await?
    {
        Refreshed::Renewed {
            user_id,
            session_id,
        } => {
            metrics::counter!("kurz_auth_refreshes_total").increment(1);
            let tokens = Tokens::of(&app, user_id, session_id, &successor)?;
            Ok(([NO_STORE], axum::Json(tokens)))
        }
        Refreshed::Reused { session_id } => {
            metrics::counter!("kurz_auth_refresh_tokens_reused_total").increment(1);
            tracing::warn!(%session_id, "a refresh token came twice: session ended");
            Err(Error::BadRefreshToken)
        }
        Refreshed::Unknown => Err(Error::BadRefreshToken),
    }
}

/// Sign out
///
/// Ends the session of the refresh token. Its access token is good until it expires, at most 15
/// minutes. A token that is not known has no session: nothing to do, and the same answer.
#[utoipa::path(
    post,
    path = "/tokens/revoke",
    operation_id = "revoke",
    tag = "tokens",
    request_body(
        content = Revocation,
        example = json!({
            "refresh_token": "bWFyeSBoYWQgYSBsaXR0bGUgbGFtYiB3aG9zZSBmbGVlY2Ugd2FzIHdoaXRlIGFz"
        })
    ),
    responses((status = 204, description = "Signed out."), OfBody, OfService)
)]
pub async fn revoke(
    State(app): State<AppState>,
    Json(request): Json<Revocation>,
) -> Result<StatusCode> {
    if let Some(token) = RefreshToken::parse(&request.refresh_token) {
        app.store.end_session_of(token).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
