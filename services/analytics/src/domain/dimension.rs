use std::str::FromStr;

use serde::Serialize;
use utoipa::ToSchema;

use super::Invalid;

/// By what clicks can be broken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BreakdownDimension)]
pub enum Dimension {
    /// The host of the page that led to the link.
    Referrer,
    /// The visitor's country (ISO 3166-1 alpha-2).
    Country,
    /// The browser's family.
    Browser,
    /// The operating system's family.
    Os,
    /// The class of the device.
    Device,
    /// The visitor's first language.
    Language,
    /// What the request was: a human, a bot, a preview …
    Kind,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Referrer,
        Self::Country,
        Self::Browser,
        Self::Os,
        Self::Device,
        Self::Language,
        Self::Kind,
    ];

    /// The name in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Referrer => "referrer",
            Self::Country => "country",
            Self::Browser => "browser",
            Self::Os => "os",
            Self::Device => "device",
            Self::Language => "language",
            Self::Kind => "kind",
        }
    }
}

impl FromStr for Dimension {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|dimension| dimension.as_str() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::as_str).join("`, `");
                Invalid::new(format!("a dimension is one of `{names}`"))
            })
    }
}
