//! What can go wrong, and its HTTP face.

use chassis::problem::Problem;
use chassis::sqlite;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such link, or it is somebody else's: nobody learns which.
    #[error("there is no such link")]
    NoSuchLink,
    /// Somebody has a link with this code.
    #[error("the code is already taken")]
    CodeTaken,
    /// The account is closed; its token has not expired yet.
    #[error("the account is closed")]
    AccountClosed,
    /// A field that is only wrong together with what is stored.
    #[error("{field}: {message}")]
    Invalid {
        /// The name of the field.
        field: &'static str,
        /// What it must be.
        message: String,
    },
    /// The database is closed: the service is about to stop.
    #[error("the service is stopping")]
    Stopping,
    /// A fault of ours.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
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

impl From<crate::domain::EmptyWindow> for Error {
    fn from(error: crate::domain::EmptyWindow) -> Self {
        Self::Invalid {
            field: "valid_until",
            message: error.to_string(),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NoSuchLink => Self::not_found(error.to_string()),
            Error::CodeTaken => Self::conflict(error.to_string()),
            Error::AccountClosed => Self::unauthorized(error.to_string()),
            Error::Invalid { field, message } => Self::unprocessable(field, message),
            Error::Stopping => Self::unavailable(error.to_string()),
            Error::Unexpected(error) => Self::internal(&error),
        }
    }
}
