//! From a request to a click: what is kept of a visit, and nothing more.

mod country;
mod headers;
mod visitor;

use std::net::IpAddr;

use chassis::http::Head;
use events::{ClickRef, Hints};

pub use country::Countries;
pub use visitor::VisitorKeys;

use crate::table::LinkRef;
use country::Country;
use headers::Said;

/// Turns requests into clicks. The client's address goes in and does not come out: what leaves is a
/// country and a hash that is of use within one day.
#[derive(Debug)]
pub struct Observer {
    /// The country database, if there is one.
    pub countries: Option<Countries>,
    /// The keys of the visitor hash.
    pub visitors: VisitorKeys,
}

/// What is kept of one request, mostly where the request has it.
#[derive(Debug)]
pub struct Visit<'a> {
    said: Said<'a>,
    hints: Hints,
    country: Option<Country>,
    visitor: u64,
    at_ms: i64,
}

impl Observer {
    /// The visit that a request is.
    pub fn visit<'a>(&self, head: &Head<'a>, client: IpAddr, at_ms: i64) -> Visit<'a> {
        let said = Said::in_headers(head.fields);
        let countries = self.countries.as_ref();
        Visit {
            hints: said.hints(head.method),
            country: countries.and_then(|countries| countries.of(client)),
            visitor: self.visitors.hash(client, &said.user_agent, at_ms),
            at_ms,
            said,
        }
    }
}

impl Visit<'_> {
    /// The click, if the visit was to an open link.
    pub fn of<'a>(&'a self, link: &'a LinkRef<'_>) -> ClickRef<'a> {
        ClickRef {
            link_id: link.link_id(),
            owner_id: link.owner_id(),
            code: link.code(),
            at_ms: self.at_ms,
            hints: self.hints,
            referrer: &self.said.referrer,
            user_agent: &self.said.user_agent,
            language: &self.said.language,
            country: self.country.as_ref().map(Country::as_str),
            visitor: self.visitor,
        }
    }
}
