//! What can go wrong in a request, and how the client sees it.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use chassis::problem::Problem;
use chassis::sqlite::Closed;

use crate::domain::Invalid;

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such link, or it is somebody else's: the answer is the same.
    #[error("there is no such link")]
    NoSuchLink,
    /// A field of the request is not what it must be.
    #[error("{field}: {reason}")]
    Invalid {
        /// Its name in the request.
        field: &'static str,
        /// What it must be.
        reason: Invalid,
    },
    /// A stream ticket that is unknown, used or too old.
    #[error("the ticket is unknown, was used, or is too old")]
    BadTicket,
    /// The caller's account was closed a moment ago.
    #[error("the account is closed")]
    AccountClosed,
    /// The caller has as many of these as anybody can have.
    #[error("too many at once")]
    TooMany {
        /// When to try again.
        retry_after: Duration,
    },
    /// The database is closed: the service is about to stop.
    #[error("the service is stopping")]
    Stopping,
    /// A fault of ours.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl From<(&'static str, Invalid)> for Error {
    fn from((field, reason): (&'static str, Invalid)) -> Self {
        Self::Invalid { field, reason }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unexpected(error.into())
    }
}

impl From<Closed> for Error {
    fn from(_: Closed) -> Self {
        Self::Stopping
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NoSuchLink => Self::not_found(error.to_string()),
            Error::Invalid { field, reason } => Self::unprocessable(field, reason.to_string()),
            Error::BadTicket | Error::AccountClosed => Self::unauthorized(error.to_string()),
            Error::TooMany { retry_after } => Self::too_many_requests(retry_after),
            Error::Stopping => Self::unavailable(error.to_string()),
            Error::Unexpected(error) => Self::internal(&error),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
