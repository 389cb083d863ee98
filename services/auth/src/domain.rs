//! The words of this service, each parsed once and valid from then on.

mod password;
mod refresh_token;
mod username;

pub use password::{NewPassword, Password, PasswordFault};
pub use refresh_token::{RefreshToken, TokenHash};
pub use username::{Username, UsernameFault};
