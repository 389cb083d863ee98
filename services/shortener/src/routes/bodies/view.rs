use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{StateBody, status_schema};
use crate::domain::{Link, PublicUrl, Target, Title};
use crate::store::Page;

/// A link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Link, example = json!({
    "code": "spring-sale",
    "short_url": "https://kurz.example/spring-sale",
    "url": "https://example.com/a/long/path?with=a&query",
    "title": "Spring sale, newsletter",
    "state": "active",
    "valid_from": null,
    "valid_until": "2027-04-01T00:00:00Z",
    "fallback_url": null,
    "redirect_status": 302,
    "created_at": "2026-11-24T17:05:00.123Z",
    "updated_at": "2026-11-24T17:05:00.123Z"
}))]
pub struct LinkView {
    /// Its short name.
    code: String,
    /// What to give to people.
    #[schema(format = "uri")]
    short_url: String,
    /// Where it leads.
    #[schema(format = "uri")]
    url: String,
    /// What you call it.
    #[schema(required = true)]
    title: Option<String>,
    /// Whether it can be followed.
    state: StateBody,
    /// It can be followed from this time on.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    valid_from: Option<Timestamp>,
    /// It can be followed before this time.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    valid_until: Option<Timestamp>,
    /// Where it leads while it can't be followed.
    #[schema(required = true, format = "uri")]
    fallback_url: Option<String>,
    /// The HTTP status of the redirect.
    #[schema(schema_with = status_schema)]
    redirect_status: u16,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl LinkView {
    /// What its owner sees of a link.
    pub fn new(link: &Link, public_url: &PublicUrl) -> Self {
        Self {
            code: link.code.as_str().to_owned(),
            short_url: public_url.short(&link.code),
            url: link.url.as_str().to_owned(),
            title: link
                .title
                .as_ref()
                .map(Title::as_str)
                .map(ToOwned::to_owned),
            state: link.state.into(),
            valid_from: link.valid_from,
            valid_until: link.valid_until,
            fallback_url: link
                .fallback_url
                .as_ref()
                .map(Target::as_str)
                .map(ToOwned::to_owned),
            redirect_status: link.redirect_status.get(),
            created_at: link.created_at,
            updated_at: link.updated_at,
        }
    }
}

/// A part of a list of links.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkPage {
    /// The links, in order.
    items: Vec<LinkView>,
    /// Give it as `cursor` to get the next page; `null` on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl LinkPage {
    /// What its owner sees of a page.
    pub fn new(page: &Page, public_url: &PublicUrl) -> Self {
        Self {
            items: page
                .links
                .iter()
                .map(|link| LinkView::new(link, public_url))
                .collect(),
            next_cursor: page.next.as_ref().map(crate::domain::Cursor::encode),
        }
    }
}

/// How many links were deleted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "deleted": 12 }))]
pub struct Deleted {
    /// How many.
    pub deleted: u64,
}
