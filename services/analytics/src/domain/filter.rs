use std::str::FromStr;

use super::Invalid;
use crate::rules::Kind;

/// A country as ISO 3166-1 alpha-2: two capital letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Country(String);

impl FromStr for Country {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "a country is two capital letters (ISO 3166-1), such as `DE`",
        ))
    }
}

/// Which clicks a live stream shows. What is left out filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClickFilter {
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only this country.
    pub country: Option<Country>,
}

impl ClickFilter {
    /// A filter from the values of a request. Fails with the field to blame.
    pub fn new(kind: Option<&str>, country: Option<&str>) -> Result<Self, (&'static str, Invalid)> {
        Ok(Self {
            kind: kind
                .map(kind_from)
                .transpose()
                .map_err(|error| ("kind", error))?,
            country: country
                .map(str::parse)
                .transpose()
                .map_err(|error| ("country", error))?,
        })
    }

    /// Whether a click of this kind and country passes.
    pub fn passes(&self, kind: Kind, country: Option<&str>) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
            && self
                .country
                .as_ref()
                .is_none_or(|wanted| country == Some(wanted.0.as_str()))
    }
}

fn kind_from(text: &str) -> Result<Kind, Invalid> {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| {
            Invalid::new(format!(
                "a kind is one of `{}`",
                Kind::ALL.map(Kind::as_str).join("`, `")
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_filter_passes_everything() {
        let filter = ClickFilter::default();
        assert!(filter.passes(Kind::Head, None));
        assert!(filter.passes(Kind::Human, Some("DE")));
    }

    #[test]
    fn both_conditions_must_hold() {
        let filter = ClickFilter::new(Some("human"), Some("DE")).unwrap();
        assert!(filter.passes(Kind::Human, Some("DE")));
        assert!(!filter.passes(Kind::Bot, Some("DE")));
        assert!(!filter.passes(Kind::Human, Some("AT")));
        assert!(!filter.passes(Kind::Human, None));
    }

    #[test]
    fn what_nobody_can_be_is_refused_with_its_field() {
        assert_eq!(ClickFilter::new(Some("Human"), None).unwrap_err().0, "kind");
        assert_eq!(ClickFilter::new(None, Some("de")).unwrap_err().0, "country");
        assert_eq!(
            ClickFilter::new(None, Some("DEU")).unwrap_err().0,
            "country"
        );
    }
}
