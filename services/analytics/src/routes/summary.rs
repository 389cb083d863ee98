//! What the clicks of all links of the caller add up to.

use axum::Json;
use axum::extract::State;
use chassis::caller::Caller;

use super::bodies::AnalyticsSummary;
use super::refusals::Refusals;
use crate::error::Error;
use crate::state::AppState;
use crate::store::reports;

/// Get the totals of all your links
#[utoipa::path(
    get,
    path = "/summary",
    operation_id = "analytics_summary",
    tag = "statistics",
    description = "The sums over all your links, also over those that were deleted.",
    responses(
        (status = 200, description = "The totals", body = AnalyticsSummary),
        Refusals,
    ),
    security(("access_token" = [])),
)]
pub async fn summary(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<AnalyticsSummary>, Error> {
    let summary = app
        .database
        .read(move |c| Ok::<_, Error>(reports::summary(c, caller.user_id)?))
        .await?;
    Ok(Json(summary.into()))
}
