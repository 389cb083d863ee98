//! The totals of many links at once.

use axum::Json;
use axum::extract::State;
use chassis::caller::Caller;
use chassis::extract;

use super::bodies::{LinkTotals, LinkTotalsPage};
use super::query::{self, LinksQuery};
use super::refusals::{BadQuery, Refusals};
use crate::domain::{Codes, Invalid, LinksCursor};
use crate::error::Error;
use crate::state::AppState;
use crate::store::reports;

/// List your links' totals
///
/// All your links page by page, from the newest to the oldest, also those that were deleted; or
/// those with the given codes, where a code that is not yours is left out.
#[utoipa::path(
    get,
    path = "/links",
    operation_id = "list_link_totals",
    tag = "statistics",
    params(LinksQuery),
    responses(
        (status = 200, description = "A page of totals", body = LinkTotalsPage),
        BadQuery,
        Refusals,
    ),
    security(("access_token" = [])),
)]
pub async fn list(
    State(app): State<AppState>,
    caller: Caller,
    extract::Query(query): extract::Query<LinksQuery>,
) -> Result<Json<LinkTotalsPage>, Error> {
    let owner = caller.user_id;
    if let Some(codes) = query::optional::<Codes>("codes", query.codes.as_deref())? {
        if query.limit.is_some() || query.cursor.is_some() {
            let reason = Invalid::new("can't be used together with limit or cursor");
            return Err(Error::Invalid {
                field: "codes",
                reason,
            });
        }
        let rows = app
            .database
            .read(move |c| Ok::<_, Error>(reports::totals_of(c, owner, &codes)?))
            .await?;
        let items = rows.into_iter().map(LinkTotals::from).collect();
        return Ok(Json(LinkTotalsPage {
            items,
            next_cursor: None,
        }));
    }
    let limit = query::limit(query.limit)?.get();
    let cursor = query::optional::<LinksCursor>("cursor", query.cursor.as_deref())?;
    let after = cursor.map(|cursor| cursor.link_id);
    // One more than the page holds tells whether there is another page.
    let mut rows = app
        .database
        .read(move |c| Ok::<_, Error>(reports::links(c, owner, after, limit + 1)?))
        .await?;
    let is_last = rows.len() <= limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| !is_last).map(|row| {
        LinksCursor {
            link_id: row.link_id,
        }
        .encode()
    });
    let items = rows.into_iter().map(LinkTotals::from).collect();
    Ok(Json(LinkTotalsPage { items, next_cursor }))
}
