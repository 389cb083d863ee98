use serde::{Deserialize, Deserializer};

/// What becomes of a field that may be empty. In JSON: absent (with `#[serde(default)]`), `null`,
/// or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Update<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is empty from now on.
    Clear,
    /// It has this value from now on.
    Set(T),
}

impl<T> Update<T> {
    /// Does it.
    pub fn apply(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value),
        }
    }

    /// Parses the value, if there is one. What can't be parsed is kept: `parse` has noted it.
    pub fn parse<U>(self, parse: impl FnOnce(T) -> Option<U>) -> Update<U> {
        match self {
            Self::Keep => Update::Keep,
            Self::Clear => Update::Clear,
            Self::Set(value) => parse(value).map_or(Update::Keep, Update::Set),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Update<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}
