//! Whether an account's clicks are published for its programs.

use axum::Json;
use axum::extract::State;
use chassis::caller::Caller;
use chassis::extract;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::refusals::{BadBody, BadFeed, Refusals};
use crate::error::Error;
use crate::state::AppState;
use crate::store::{accounts, feed};

/// Your feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "enabled": true, "dropped": 0 }))]
pub struct FeedView {
    /// Whether your clicks are published on `feed.v1.<your id>.<code>`.
    enabled: bool,
    /// How many clicks were counted but never published, because too many waited while the bus was
    /// away.
    dropped: u64,
}

impl From<feed::Feed> for FeedView {
    fn from(feed: feed::Feed) -> Self {
        Self {
            enabled: feed.enabled,
            dropped: feed.dropped,
        }
    }
}

/// What is to become of your feed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "enabled": true }))]
pub struct FeedSwitch {
    /// Whether your clicks are to be published.
    enabled: bool,
}

/// Get the state of your feed
///
/// It is off until you turn it on.
#[utoipa::path(
    get,
    path = "/feed",
    operation_id = "show_feed",
    tag = "feed",
    responses(
        (status = 200, description = "The state", body = FeedView),
        Refusals,
    ),
    security(("access_token" = [])),
)]
pub async fn show(State(app): State<AppState>, caller: Caller) -> Result<Json<FeedView>, Error> {
    let feed = app
        .database
        .read(move |c| Ok::<_, Error>(feed::of(c, caller.user_id)?))
        .await?;
    Ok(Json(feed.into()))
}

/// Turn your feed on or off
///
/// While it is on, each click that is counted is published once on `feed.v1.<your id>.<code>` of
/// the stream `FEED`, where it stays for 72 hours. What was counted before is not published; what
/// waits when you turn it off still is.
#[utoipa::path(
    put,
    path = "/feed",
    operation_id = "set_feed",
    tag = "feed",
    request_body = FeedSwitch,
    responses(
        (status = 200, description = "The new state", body = FeedView),
        BadFeed,
        BadBody,
        Refusals,
    ),
    security(("access_token" = [])),
)]
pub async fn set(
    State(app): State<AppState>,
    caller: Caller,
    extract::Json(switch): extract::Json<FeedSwitch>,
) -> Result<Json<FeedView>, Error> {
    let write = app.database.write(move |tx| {
        // An account that was closed a moment ago leaves nothing behind.
        if accounts::is_closed(tx, caller.user_id)? {
            return Err(Error::AccountClosed);
        }
        feed::set(tx, caller.user_id, switch.enabled)?;
        Ok(feed::of(tx, caller.user_id)?)
    });
    Ok(Json(write.await?.into()))
}
