//! From a request to a click: what is kept of a visit, and nothing more.

mod country;
mod headers;
mod visitor;

use std::net::IpAddr;

use axum::http::{HeaderMap, Method};
use events::Click;

pub use country::Countries;
pub use visitor::VisitorKeys;

use crate::table::Link;

/// Turns requests into clicks. The client's address goes in and does not come out: what leaves is a
/// country and a hash that is of use within one day.
#[derive(Debug)]
pub struct Observer {
    /// The country database, if there is one.
    pub countries: Option<Countries>,
    /// The keys of the visitor hash.
    pub visitors: VisitorKeys,
}

impl Observer {
    /// The click of one request of an open link.
    pub fn click(
        &self,
        link: &Link,
        method: &Method,
        headers: &HeaderMap,
        client: IpAddr,
        at_ms: i64,
    ) -> Click {
        let user_agent = headers::user_agent(headers);
        Click {
            link_id: link.link_id(),
            owner_id: link.owner_id(),
            code: link.code().to_owned(),
            at_ms,
            hints: headers::hints(method, headers),
            referrer: headers::referrer(headers),
            language: headers::language(headers),
            country: self
                .countries
                .as_ref()
                .and_then(|countries| countries.of(client)),
            visitor: self.visitors.hash(client, &user_agent, at_ms),
            user_agent,
        }
    }
}
