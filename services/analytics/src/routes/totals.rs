//! What the clicks of one link add up to.

use axum::Json;
use axum::extract::State;
use chassis::caller::Caller;
use chassis::extract;

use super::bodies::LinkTotals;
use super::refusals::{NoSuchLink, Refusals};
use crate::domain::Code;
use crate::error::Error;
use crate::state::AppState;
use crate::store::reports;

/// Get a link's totals
///
/// Of your newest link with this code, also of one that was deleted.
#[utoipa::path(
    get,
    path = "/links/{code}",
    operation_id = "link_totals",
    tag = "statistics",
    params(("code" = String, Path, description = "The code of the link",
        example = "rust", pattern = "^[A-Za-z0-9_-]{1,64}$")),
    responses(
        (status = 200, description = "The totals", body = LinkTotals),
        NoSuchLink,
        Refusals,
    ),
    security(("access_token" = [])),
)]
pub async fn totals(
    State(app): State<AppState>,
    caller: Caller,
    extract::Path(code): extract::Path<String>,
) -> Result<Json<LinkTotals>, Error> {
    let code = code_in_path(&code)?;
    let totals = app
        .database
        .read(move |c| Ok::<_, Error>(reports::totals(c, caller.user_id, &code)?))
        .await?;
    Ok(Json(totals.ok_or(Error::NoSuchLink)?.into()))
}

/// What is no code names no link.
pub(super) fn code_in_path(code: &str) -> Result<Code, Error> {
    code.parse().map_err(|_| Error::NoSuchLink)
}
