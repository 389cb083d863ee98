/// Longest title in characters: a line in a list, not a text.
pub const MAX_CHARS: usize = 300;

/// What a user calls a link. Only its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title(String);

/// Why a text can't be a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 300 characters long")]
pub struct TitleError;

impl Title {
    /// Parses what a user typed.
    pub fn parse(text: String) -> Result<Self, TitleError> {
        if text.is_empty() || text.chars().count() > MAX_CHARS {
            return Err(TitleError);
        }
        Ok(Self(text))
    }

    /// A title as the database holds it.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The title as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_counts_characters() {
        assert!(Title::parse("ä".repeat(MAX_CHARS)).is_ok());
        assert_eq!(Title::parse("ä".repeat(MAX_CHARS + 1)), Err(TitleError));
        assert_eq!(Title::parse(String::new()), Err(TitleError));
    }
}
