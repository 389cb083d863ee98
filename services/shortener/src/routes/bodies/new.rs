use chassis::problem::Problem;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Faults, StateBody, optional_status_schema};
use crate::domain::{
    Code, LinkState, NewLink, PublicUrl, RedirectStatus, Target, Title, parse_time,
};

/// A link to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewLink, example = json!({
    "url": "https://example.com/a/long/path?with=a&query",
    "code": "spring-sale",
    "title": "Spring sale, newsletter"
}))]
#[serde(deny_unknown_fields)]
pub struct NewLinkBody {
    /// Where it leads: an absolute http or https URL, at most 8,192 bytes, without credentials,
    /// not on this service's own host. Kept in the normal form of the URL standard.
    #[schema(
        format = "uri",
        max_length = 8192,
        pattern = "^[Hh][Tt][Tt][Pp][Ss]?://"
    )]
    url: String,
    /// Its short name; a random one of 7 characters if it is missing. Case matters.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    code: Option<String>,
    /// What you call it; only you see it.
    #[schema(min_length = 1, max_length = 300)]
    title: Option<String>,
    /// `active` if it is missing.
    state: Option<StateBody>,
    /// It can be followed from this time on (RFC 3339).
    #[schema(format = DateTime)]
    valid_from: Option<String>,
    /// It can be followed before this time (RFC 3339).
    #[schema(format = DateTime)]
    valid_until: Option<String>,
    /// Where it leads while it can't be followed: a URL as `url`.
    #[schema(
        format = "uri",
        max_length = 8192,
        pattern = "^[Hh][Tt][Tt][Pp][Ss]?://"
    )]
    fallback_url: Option<String>,
    /// The HTTP status of the redirect; 302 if it is missing.
    #[schema(schema_with = optional_status_schema, required = false)]
    redirect_status: Option<u16>,
}

impl NewLinkBody {
    /// The link and its code, if one was chosen; or everything that is wrong.
    pub fn parse(self, own: &PublicUrl) -> Result<(NewLink, Option<Code>), Problem> {
        let mut faults = Faults::default();
        let code = self
            .code
            .and_then(|code| faults.check("code", Code::choose(&code)));
        let title = self
            .title
            .and_then(|title| faults.check("title", Title::parse(title)));
        let mut time = |field, text: Option<String>| {
            text.and_then(|text| faults.check(field, parse_time(&text)))
        };
        let valid_from = time("valid_from", self.valid_from);
        let valid_until = time("valid_until", self.valid_until);
        let fallback_url = self
            .fallback_url
            .and_then(|url| faults.check("fallback_url", Target::parse(&url, own)));
        let redirect_status = self
            .redirect_status
            .and_then(|status| faults.check("redirect_status", RedirectStatus::parse(status)));
        let url = faults.check("url", Target::parse(&self.url, own));
        faults.finish()?;
        let url = url.ok_or_else(|| Problem::unprocessable("url", "is missing"))?;
        let new = NewLink {
            url,
            title,
            state: self.state.map_or(LinkState::default(), LinkState::from),
            valid_from,
            valid_until,
            fallback_url,
            redirect_status: redirect_status.unwrap_or_default(),
        };
        Ok((new, code))
    }
}
