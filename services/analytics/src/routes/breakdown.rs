//! What the clicks of one link are made of.

use axum::Json;
use axum::extract::State;
use chassis::caller::Caller;
use chassis::extract;
use chassis::problem::Problem;

use super::bodies::{BreakdownItem, LinkBreakdown};
use super::query::{self, PageQuery};
use super::refusals::{BadQuery, NoSuchLink, Refusals};
use super::totals::code_in_path;
use crate::domain::{BreakdownCursor, Dimension};
use crate::error::Error;
use crate::state::AppState;
use crate::store::reports;

/// Get what a link's clicks are made of
///
/// Clicks of people by referrer, country, browser, system, device or language; every request by
/// kind: human, bot, preview, prefetch and head. Counts go on rising while pages are read: an entry
/// that overtakes another one in between can be missing or come twice.
#[utoipa::path(
    get,
    path = "/links/{code}/breakdown/{dimension}",
    operation_id = "link_breakdown",
    tag = "statistics",
    params(
        ("code" = String, Path, description = "The code of the link",
            example = "rust", pattern = "^[A-Za-z0-9_-]{1,64}$"),
        ("dimension" = Dimension, Path, description = "By what", example = "referrer"),
        PageQuery,
    ),
    responses(
        (status = 200, description = "A page of values", body = LinkBreakdown),
        NoSuchLink,
        BadQuery,
        Refusals,
    ),
    security(("access_token" = [])),
)]
pub async fn breakdown(
    State(app): State<AppState>,
    caller: Caller,
    extract::Path((code, dimension)): extract::Path<(String, String)>,
    extract::Query(query): extract::Query<PageQuery>,
) -> Result<Json<LinkBreakdown>, Problem> {
    let code = code_in_path(&code)?;
    let dimension: Dimension = dimension
        .parse()
        .map_err(|reason| Problem::not_found(format!("{reason}")))?;
    let limit = query::limit(query.limit)?.get();
    let cursor = query::optional::<BreakdownCursor>("cursor", query.cursor.as_deref())?;
    let mut rows = app
        .database
        .read(move |c| {
            let link_id =
                reports::newest_link(c, caller.user_id, &code)?.ok_or(Error::NoSuchLink)?;
            // One more than the page holds tells whether there is another page.
            Ok::<_, Error>(reports::breakdown(
                c,
                link_id,
                dimension,
                cursor.as_ref(),
                limit + 1,
            )?)
        })
        .await?;
    let is_last = rows.len() <= limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| !is_last).map(|row| {
        BreakdownCursor {
            clicks: row.clicks,
            value: row.value.clone(),
        }
        .encode()
    });
    let items = rows.into_iter().map(BreakdownItem::from).collect();
    Ok(Json(LinkBreakdown {
        dimension,
        items,
        next_cursor,
    }))
}
