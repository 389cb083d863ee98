//! Everything that can go wrong here, and how a caller is told.

use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use chassis::problem::Problem;
use chassis::sqlite;

use crate::domain::{PasswordFault, UsernameFault};

/// What to tell those who come while too many passwords are waiting: the queue is empty again
/// within about a second.
const BUSY_RETRY_AFTER: &str = "1";

/// The outcome of a handler.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request is refused. Each variant is something a caller can act on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of the body breaks a rule of ours.
    #[error("{field} {fault}")]
    Invalid {
        /// The field's name in the body.
        field: &'static str,
        /// What is wrong with it.
        fault: String,
    },
    /// Somebody has this name.
    #[error("the username is taken")]
    UsernameTaken,
    /// No such user or another password; which of the two is nobody's business.
    #[error("the username or the password is wrong")]
    BadCredentials,
    /// The refresh token is unknown, spent or expired.
    #[error("the refresh token is not valid, sign in again")]
    BadRefreshToken,
    /// The access token is genuine, but its session was ended.
    #[error("the session has ended, sign in again")]
    SessionEnded,
    /// Who is signed in could not confirm it with the password.
    #[error("the password is wrong")]
    WrongPassword,
    /// Too many attempts.
    #[error("too many attempts")]
    TooManyAttempts(Duration),
    /// Too many passwords wait to be hashed.
    #[error("too many sign-ins at the moment, try again soon")]
    Busy,
    /// The database is closing: the service is about to stop.
    #[error("the service is stopping")]
    Stopping,
    /// A fault of ours.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Error {
    /// A username that breaks the rules.
    pub fn username(fault: UsernameFault) -> Self {
        Self::Invalid {
            field: "username",
            fault: fault.to_string(),
        }
    }

    /// A password, in this field, that breaks the rules.
    pub fn password(field: &'static str) -> impl FnOnce(PasswordFault) -> Self {
        move |fault| Self::Invalid {
            field,
            fault: fault.to_string(),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unexpected(error.into())
    }
}

impl From<sqlite::Closed> for Error {
    fn from(_: sqlite::Closed) -> Self {
        Self::Stopping
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Invalid { field, fault } => Problem::unprocessable(field, fault),
            Error::UsernameTaken => Problem::conflict(text),
            Error::BadCredentials | Error::BadRefreshToken | Error::SessionEnded => {
                Problem::unauthorized(text)
            }
            Error::WrongPassword => Problem::forbidden(text),
            Error::TooManyAttempts(retry_after) => Problem::too_many_requests(retry_after),
            Error::Busy | Error::Stopping => Problem::unavailable(text).header(
                header::RETRY_AFTER,
                HeaderValue::from_static(BUSY_RETRY_AFTER),
            ),
            Error::Unexpected(error) => Problem::internal(&error),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
