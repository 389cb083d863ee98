use chassis::problem::Problem;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::{Faults, StateBody, status_schema};
use crate::domain::{
    LinkChange, LinkState, PublicUrl, RedirectStatus, Target, Title, Update, parse_time,
};

/// What to change. A field that is missing stays as it is; `null` clears it, where it can be
/// empty.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = LinkChange, example = json!({ "title": "Summer sale", "valid_until": null }))]
#[serde(deny_unknown_fields)]
pub struct LinkChangeBody {
    /// Another target.
    #[serde(default, deserialize_with = "present")]
    #[schema(
        nullable = false,
        format = "uri",
        max_length = 8192,
        pattern = "^[Hh][Tt][Tt][Pp][Ss]?://"
    )]
    url: Option<String>,
    /// Another title; `null` for none.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 300)]
    title: Update<String>,
    /// Switches the link on or off.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    state: Option<StateBody>,
    /// Another first moment; `null` for none.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_from: Update<String>,
    /// Another end; `null` for none.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_until: Update<String>,
    /// Another fallback; `null` for none.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uri", max_length = 8192,
        pattern = "^[Hh][Tt][Tt][Pp][Ss]?://")]
    fallback_url: Update<String>,
    /// Another status.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = status_schema, required = false)]
    redirect_status: Option<u16>,
}

impl LinkChangeBody {
    /// The change, or everything that is wrong with it.
    pub fn parse(self, own: &PublicUrl) -> Result<LinkChange, Problem> {
        let mut faults = Faults::default();
        let url = self
            .url
            .and_then(|url| faults.check("url", Target::parse(&url, own)));
        let title = self
            .title
            .parse(|text| faults.check("title", Title::parse(text)));
        let valid_from = self
            .valid_from
            .parse(|text| faults.check("valid_from", parse_time(&text)));
        let valid_until = self
            .valid_until
            .parse(|text| faults.check("valid_until", parse_time(&text)));
        let fallback_url = self
            .fallback_url
            .parse(|url| faults.check("fallback_url", Target::parse(&url, own)));
        let redirect_status = self
            .redirect_status
            .and_then(|status| faults.check("redirect_status", RedirectStatus::parse(status)));
        faults.finish()?;
        Ok(LinkChange {
            url,
            title,
            state: self.state.map(LinkState::from),
            valid_from,
            valid_until,
            fallback_url,
            redirect_status,
        })
    }
}

/// Reads a field that must not be `null`; serde would take that for an absent one.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use url::Url;

    use super::*;

    fn parse(body: serde_json::Value) -> Option<LinkChange> {
        let own = PublicUrl::new(&Url::parse("http://kurz.test").unwrap());
        serde_json::from_value::<LinkChangeBody>(body)
            .ok()?
            .parse(&own)
            .ok()
    }

    #[test]
    fn absent_is_unchanged_and_null_is_cleared() {
        let change = parse(json!({ "title": null, "state": "disabled" })).unwrap();
        assert_eq!(change.title, Update::Clear);
        assert!(change.valid_from == Update::Keep && change.url.is_none());
        assert_eq!(change.state, Some(LinkState::Disabled));
    }

    #[test]
    fn what_can_not_be_empty_can_not_be_cleared() {
        for field in ["url", "state", "redirect_status"] {
            assert!(parse(json!({ field: null })).is_none(), "{field}");
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(parse(json!({ "titel": "x" })).is_none());
        assert!(parse(json!({ "code": "other" })).is_none());
    }
}
