//! Pages of a list.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use uuid::Uuid;

use super::{Store, row};
use crate::domain::{Cursor, Link, Sort, SortKey};
use crate::error::Error;

/// Which links a list shows, and from where on.
#[derive(Debug, Clone)]
pub struct Search {
    /// Whose links.
    pub owner_id: Uuid,
    /// A part of the code, the URL or the title, in any case.
    pub text: Option<String>,
    /// In which order.
    pub sort: Sort,
    /// Behind which position; from the start if none.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: usize,
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// The links, in order.
    pub links: Vec<Link>,
    /// Where the next page begins; none if this is the last one.
    pub next: Option<Cursor>,
}

impl Store {
    /// One page of an account's links.
    pub async fn page(&self, search: Search) -> Result<Page, Error> {
        self.database.read(move |db| Ok(page(db, search)?)).await
    }
}

fn page(db: &Connection, search: Search) -> rusqlite::Result<Page> {
    let column = match search.sort.key {
        SortKey::CreatedAt => "created_at_ms",
        SortKey::UpdatedAt => "updated_at_ms",
        SortKey::Code => "code",
    };
    let (beyond, order) = if search.sort.descending {
        ("<", "DESC")
    } else {
        (">", "ASC")
    };
    let mut values = vec![Value::Blob(search.owner_id.as_bytes().to_vec())];
    let mut conditions = vec!["owner_id = ?".to_owned()];
    if let Some(text) = search.text {
        conditions.push("instr(search_text, ?) > 0".to_owned());
        values.push(Value::Text(text.to_lowercase()));
    }
    if let Some(after) = search.after {
        if search.sort.key == SortKey::Code {
            conditions.push(format!("code {beyond} ?"));
        } else {
            conditions.push(format!("({column}, code) {beyond} (?, ?)"));
            values.push(Value::Integer(after.at_ms));
        }
        values.push(Value::Text(after.code.as_str().to_owned()));
    }
    // One more than asked for tells whether there is a next page.
    values.push(Value::Integer(search.limit.cast_signed() as i64 + 1));
    let sql = format!(
        "SELECT {} FROM links WHERE {} ORDER BY {column} {order}, code {order} LIMIT ?",
        row::COLUMNS,
        conditions.join(" AND ")
    );

    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), row::read)?;
    let mut links: Vec<Link> = rows.collect::<Result<_, _>>()?;
    let more = links.len() > search.limit;
    links.truncate(search.limit);
    let next = links
        .last()
        .filter(|_| more)
        .map(|last| cursor(last, search.sort));
    Ok(Page { links, next })
}

/// The position of a link in an order.
fn cursor(link: &Link, sort: Sort) -> Cursor {
    let at_ms = match sort.key {
        SortKey::CreatedAt => link.created_at.as_millisecond(),
        SortKey::UpdatedAt => link.updated_at.as_millisecond(),
        SortKey::Code => Timestamp::UNIX_EPOCH.as_millisecond(),
    };
    Cursor {
        sort,
        at_ms,
        code: link.code.clone(),
    }
}
