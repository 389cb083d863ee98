//! Between rows, links and records.

use events::LinkRecord;
use jiff::Timestamp;
use rusqlite::{Row, ToSql, named_params};

use crate::domain::{Code, Link, LinkState, RedirectStatus, Target, Title};

/// The columns that [`read`] reads, in its order.
pub const COLUMNS: &str = "link_id, owner_id, code, url, title, state, valid_from_ms, \
     valid_until_ms, fallback_url, redirect_status, version, created_at_ms, updated_at_ms";

/// A link from a row of [`COLUMNS`].
pub fn read(row: &Row<'_>) -> rusqlite::Result<Link> {
    let state: String = row.get(5)?;
    let status: u16 = row.get(9)?;
    let version: i64 = row.get(10)?;
    Ok(Link {
        id: row.get(0)?,
        owner_id: row.get(1)?,
        code: Code::stored(row.get(2)?),
        url: Target::stored(row.get(3)?),
        title: row.get::<_, Option<String>>(4)?.map(Title::stored),
        state: if state == "disabled" {
            LinkState::Disabled
        } else {
            LinkState::Active
        },
        valid_from: row.get::<_, Option<i64>>(6)?.map(time),
        valid_until: row.get::<_, Option<i64>>(7)?.map(time),
        fallback_url: row.get::<_, Option<String>>(8)?.map(Target::stored),
        redirect_status: RedirectStatus::parse(status).unwrap_or_default(),
        version: version.unsigned_abs(),
        created_at: time(row.get(11)?),
        updated_at: time(row.get(12)?),
    })
}

/// Calls `then` with the values of a link by name.
pub fn with_values<T>(link: &Link, then: impl FnOnce(&[(&str, &dyn ToSql)]) -> T) -> T {
    then(named_params! {
        ":link_id": link.id,
        ":owner_id": link.owner_id,
        ":code": link.code.as_str(),
        ":url": link.url.as_str(),
        ":title": link.title.as_ref().map(Title::as_str),
        ":state": match link.state {
            LinkState::Active => "active",
            LinkState::Disabled => "disabled",
        },
        ":valid_from_ms": link.valid_from.map(Timestamp::as_millisecond),
        ":valid_until_ms": link.valid_until.map(Timestamp::as_millisecond),
        ":fallback_url": link.fallback_url.as_ref().map(Target::as_str),
        ":redirect_status": link.redirect_status.get(),
        ":version": link.version.cast_signed(),
        ":created_at_ms": link.created_at.as_millisecond(),
        ":updated_at_ms": link.updated_at.as_millisecond(),
        ":search_text": search_text(link),
    })
}

/// What redirectors are told of a link.
pub fn record(link: &Link) -> LinkRecord {
    LinkRecord {
        link_id: link.id,
        owner_id: link.owner_id,
        code: link.code.as_str().to_owned(),
        url: link.url.as_str().to_owned(),
        version: link.version,
        state: match link.state {
            LinkState::Active => events::LinkState::Active,
            LinkState::Disabled => events::LinkState::Disabled,
        },
        valid_from_ms: link.valid_from.map(Timestamp::as_millisecond),
        valid_until_ms: link.valid_until.map(Timestamp::as_millisecond),
        max_clicks: None,
        fallback_url: link
            .fallback_url
            .as_ref()
            .map(|url| url.as_str().to_owned()),
        redirect_status: link.redirect_status.get(),
    }
}

/// What a search looks at, one field a line, so that no search matches across two of them.
fn search_text(link: &Link) -> String {
    let title = link.title.as_ref().map_or("", Title::as_str);
    format!("{}\n{}\n{title}", link.code, link.url).to_lowercase()
}

/// A time as it is stored. What we wrote is always in range.
fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
