//! Passwords: wiped from memory after use, never printed.

use std::fmt;

use serde::Deserialize;
use zeroize::Zeroizing;

/// The least number of characters of a new password (NIST SP 800-63B).
pub const MIN_LENGTH: usize = 8;
/// The greatest number of characters: a long passphrase fits, a flood does not.
pub const MAX_LENGTH: usize = 256;

/// What somebody typed as a password, right or wrong.
#[derive(Deserialize)]
#[serde(from = "String")]
pub struct Password(Zeroizing<String>);

/// A password good enough to be set: 8 to 256 characters of any kind. No other rule: what makes
/// a password strong is its length, and rules about signs only make people write it down.
pub struct NewPassword(Password);

/// Why a password can't be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have {MIN_LENGTH} to {MAX_LENGTH} characters")]
pub struct PasswordFault;

impl Password {
    /// For the hash function only.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Checks that it may be set.
    pub fn into_new(self) -> Result<NewPassword, PasswordFault> {
        let length = self.0.chars().take(MAX_LENGTH + 1).count();
        if (MIN_LENGTH..=MAX_LENGTH).contains(&length) {
            Ok(NewPassword(self))
        } else {
            Err(PasswordFault)
        }
    }
}

impl NewPassword {
    /// For the hash function only.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(text: &str) -> Result<NewPassword, PasswordFault> {
        Password::from(text.to_owned()).into_new()
    }

    #[test]
    fn its_length_is_counted_in_characters() {
        assert!(new("1234567").is_err());
        assert!(new("ééééééé").is_err(), "seven characters, fourteen bytes");
        assert!(new("12345678").is_ok());
        assert!(new(&"é".repeat(256)).is_ok());
        assert!(new(&"é".repeat(257)).is_err());
    }

    #[test]
    fn it_is_not_printed() {
        assert_eq!(
            format!("{:?}", new("correct horse").unwrap()),
            "NewPassword(…)"
        );
        assert_eq!(
            format!("{:?}", Password::from("correct horse".to_owned())),
            "Password(…)"
        );
    }
}
