//! The clicks of one link over time.

use axum::Json;
use axum::extract::State;
use chassis::caller::Caller;
use chassis::extract;

use super::bodies::{ClickSeries, SeriesItem};
use super::query::{self, SeriesQuery};
use super::refusals::{BadQuery, NoSuchLink, Refusals};
use super::totals::code_in_path;
use crate::domain::{Interval, Moment, TimeRange, TimeZone, buckets};
use crate::error::Error;
use crate::state::AppState;
use crate::store::reports;

/// Get a link's clicks over time
///
/// In hours, days, weeks or months by the clock and the calendar of a time zone; without
/// parameters the last 30 days in UTC.
#[utoipa::path(
    get,
    path = "/links/{code}/series",
    operation_id = "link_series",
    tag = "statistics",
    params(
        ("code" = String, Path, description = "The code of the link",
            example = "rust", pattern = "^[A-Za-z0-9_-]{1,64}$"),
        SeriesQuery,
    ),
    responses(
        (status = 200, description = "The series", body = ClickSeries),
        NoSuchLink,
        BadQuery,
        Refusals,
    ),
    security(("access_token" = [])),
)]
pub async fn series(
    State(app): State<AppState>,
    caller: Caller,
    extract::Path(code): extract::Path<String>,
    extract::Query(query): extract::Query<SeriesQuery>,
) -> Result<Json<ClickSeries>, Error> {
    let code = code_in_path(&code)?;
    let zone = query::optional::<TimeZone>("timezone", query.timezone.as_deref())?;
    let zone = zone.unwrap_or_default();
    let interval = query::optional::<Interval>("interval", query.interval.as_deref())?;
    let interval = interval.unwrap_or_default();
    let from = query::optional::<Moment>("from", query.from.as_deref())?;
    let to = query::optional::<Moment>("to", query.to.as_deref())?;
    let range = TimeRange::new(from, to, &zone, app.clock.now())?;
    let buckets = buckets(&range, interval, &zone).map_err(|reason| ("interval", reason))?;
    let items = app
        .database
        .read(move |c| {
            let link_id =
                reports::newest_link(c, caller.user_id, &code)?.ok_or(Error::NoSuchLink)?;
            let counts = reports::series(c, link_id, &buckets)?;
            let items = buckets.iter().zip(counts);
            Ok::<_, Error>(
                items
                    .map(|(bucket, counts)| SeriesItem::new(bucket, counts))
                    .collect(),
            )
        })
        .await?;
    Ok(Json(ClickSeries {
        interval,
        timezone: zone.name().to_owned(),
        items,
    }))
}
