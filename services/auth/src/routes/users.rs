//! Accounts.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use chassis::caller::Caller;
use chassis::client_address::ClientAddress;
use chassis::extract::Json;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::refusals::{OfAttempts, OfBody, OfConfirmation, OfService, OfToken};
use crate::app::AppState;
use crate::domain::{Password, Username};
use crate::error::{Error, Result};
use crate::hashing::Verdict;
use crate::store::{NewUser, User};

/// Personal data stays out of every cache.
pub const NO_STORE: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// Who wants an account.
#[derive(Deserialize, ToSchema)]
pub struct Registration {
    /// Upper and lower case are kept, but make no difference.
    #[schema(
        min_length = 3,
        max_length = 64,
        pattern = "^[A-Za-z0-9][A-Za-z0-9._@+-]{2,63}$",
        example = "ada"
    )]
    username: String,
    /// Any characters.
    #[schema(
        value_type = String, format = Password, min_length = 8, max_length = 256,
        example = "correct horse battery staple"
    )]
    password: Password,
}

/// A change of password.
#[derive(Deserialize, ToSchema)]
pub struct PasswordChange {
    /// The present one, to confirm.
    #[schema(
        value_type = String, format = Password, min_length = 1, max_length = 256,
        example = "correct horse battery staple"
    )]
    current_password: Password,
    /// The one to be.
    #[schema(
        value_type = String, format = Password, min_length = 8, max_length = 256,
        example = "tr0ub4dor and three others"
    )]
    new_password: Password,
}

/// A goodbye.
#[derive(Deserialize, ToSchema)]
pub struct Closing {
    /// To confirm.
    #[schema(
        value_type = String, format = Password, min_length = 1, max_length = 256,
        example = "correct horse battery staple"
    )]
    password: Password,
}

/// An account.
#[derive(Serialize, ToSchema)]
pub struct Account {
    /// Never changes, never given to another account.
    #[schema(example = "01938c3e-7a54-7b11-9d6f-0f6c1c1a2b3c")]
    id: Uuid,
    /// As it was written at registration.
    #[schema(example = "ada")]
    username: String,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime, example = "2026-11-24T12:00:00Z")]
    created_at: Timestamp,
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            username: user.username,
            created_at: user.created_at,
        }
    }
}

/// Register
///
/// Makes an account. Sign in at `POST /auth/tokens` to use it.
#[utoipa::path(
    post,
    path = "/users",
    operation_id = "register",
    tag = "accounts",
    request_body(
        content = Registration,
        example = json!({ "username": "ada", "password": "correct horse battery staple" })
    ),
    responses(
        (
            status = 201, description = "The account.", body = Account,
            example = json!({
                "id": "01938c3e-7a54-7b11-9d6f-0f6c1c1a2b3c",
                "username": "ada",
                "created_at": "2026-11-24T12:00:00Z"
            })
        ),
        (
            status = 409, description = "Somebody has this username.",
            body = chassis::problem::Problem, content_type = "application/problem+json",
            example = json!({
                "type": "about:blank", "title": "Conflict", "status": 409,
                "detail": "the username is taken"
            })
        ),
        OfBody, OfAttempts, OfService
    )
)]
pub async fn register(
    State(app): State<AppState>,
    ClientAddress(address): ClientAddress,
    Json(new): Json<Registration>,
) -> Result<impl IntoResponse> {
    let username = Username::parse(&new.username).map_err(Error::username)?;
    let password = new
        .password
        .into_new()
        .map_err(Error::password("password"))?;
    app.gate.register(address, app.clock.now_ms())?;
    // Asked before the costly part; what counts is the answer of the insertion.
    if app.store.user_named(username.clone()).await?.is_some() {
        return Err(Error::UsernameTaken);
    }
    let password_hash = app.hasher.hash(password).await?;
    let (id, created_at) = (Uuid::now_v7(), app.clock.now());
    let user = app
        .store
        .add_user(NewUser {
            id,
            username,
            password_hash,
            created_at,
        })
        .await?;
    metrics::counter!("kurz_auth_registrations_total").increment(1);
    Ok((
        StatusCode::CREATED,
        [NO_STORE],
        axum::Json(Account::from(user)),
    ))
}

/// Who am I
///
/// The caller's account.
#[utoipa::path(
    get,
    path = "/users/me",
    operation_id = "me",
    tag = "accounts",
    security(("access_token" = [])),
    responses(
        (
            status = 200, description = "The account.", body = Account,
            example = json!({
                "id": "01938c3e-7a54-7b11-9d6f-0f6c1c1a2b3c",
                "username": "ada",
                "created_at": "2026-11-24T12:00:00Z"
            })
        ),
        OfToken, OfService
    )
)]
pub async fn me(State(app): State<AppState>, caller: Caller) -> Result<impl IntoResponse> {
    let user = app
        .store
        .user_in_session(caller.user_id, caller.session_id)
        .await?;
    Ok(([NO_STORE], axum::Json(Account::from(user))))
}

/// Change the password
///
/// Every other session of the account ends: its refresh tokens at once, its access tokens within
/// 15 minutes.
#[utoipa::path(
    put,
    path = "/users/me/password",
    operation_id = "change_password",
    tag = "accounts",
    security(("access_token" = [])),
    request_body(
        content = PasswordChange,
        example = json!({
            "current_password": "correct horse battery staple",
            "new_password": "tr0ub4dor and three others"
        })
    ),
    responses(
        (status = 204, description = "Changed."),
        OfBody, OfToken, OfConfirmation, OfAttempts, OfService
    )
)]
pub async fn change_password(
    State(app): State<AppState>,
    ClientAddress(address): ClientAddress,
    caller: Caller,
    Json(change): Json<PasswordChange>,
) -> Result<StatusCode> {
    let new = change
        .new_password
        .into_new()
        .map_err(Error::password("new_password"))?;
    let user = confirm(&app, address, &caller, change.current_password).await?;
    let hash = app.hasher.hash(new).await?;
    let now = app.clock.now();
    app.store
        .change_password(user.id, caller.session_id, user.password_hash, hash, now)
        .await?;
    metrics::counter!("kurz_auth_passwords_changed_total").increment(1);
    Ok(StatusCode::NO_CONTENT)
}

/// Close the account
///
/// For good: the links, the statistics and the click history go too. The username becomes free.
#[utoipa::path(
    post,
    path = "/users/me/close",
    operation_id = "close_account",
    tag = "accounts",
    security(("access_token" = [])),
    request_body(
        content = Closing,
        example = json!({ "password": "correct horse battery staple" })
    ),
    responses(
        (status = 204, description = "Closed."),
        OfBody, OfToken, OfConfirmation, OfAttempts, OfService
    )
)]
pub async fn close(
    State(app): State<AppState>,
    ClientAddress(address): ClientAddress,
    caller: Caller,
    Json(closing): Json<Closing>,
) -> Result<StatusCode> {
    let user = confirm(&app, address, &caller, closing.password).await?;
    app.store
        .close_account(user.id, user.password_hash, app.clock.now())
        .await?;
    app.verifier.refuse_subject(user.id);
    app.relay.wake();
    metrics::counter!("kurz_auth_accounts_closed_total").increment(1);
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's account, if their session lives and the password is theirs. Limited like signing
/// in, and together with it: a stolen access token must not open another way to guess.
async fn confirm(
    app: &AppState,
    address: std::net::IpAddr,
    caller: &Caller,
    password: Password,
) -> Result<User> {
    let user = app
        .store
        .user_in_session(caller.user_id, caller.session_id)
        .await?;
    let attempt = app
        .gate
        .attempt(address, &user.username, app.clock.now_ms())?;
    let verdict = app
        .hasher
        .verify(password, Some(user.password_hash.clone()))
        .await;
    match verdict.inspect_err(|error| app.gate.excuse(&attempt, error))? {
        Verdict::Wrong => Err(Error::WrongPassword),
        Verdict::Right { .. } => {
            app.gate.give_back(&attempt);
            Ok(user)
        }
    }
}
