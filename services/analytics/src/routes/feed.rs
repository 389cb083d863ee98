//! Whether an account's clicks are published for its programs.

use axum::Json;
use axum::extract::State;
use chassis::caller::Caller;
use chassis::extract;
use events::{Partition, streams, subjects};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::refusals::{BadBody, BadFeed, Refusals};
use crate::error::Error;
use crate::state::AppState;
use crate::store::{accounts, feed};

/// Your feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "enabled": true,
    "dropped": 0,
    "stream": "FEED",
    "subject": "feed.v1.0199d3a4-7c11-7b6e-9f3a-2f1d5d0a8c44.>",
}))]
pub struct FeedView {
    /// Whether your clicks are published.
    enabled: bool,
    /// How many clicks were counted but never published, because too many waited while the bus was
    /// away.
    dropped: u64,
    /// The stream on NATS that your clicks are in.
    stream: String,
    /// Their subjects there: `>` stands for the code.
    subject: String,
}

impl FeedView {
    fn new(feed: &feed::Feed, partition: Partition, owner: Uuid) -> Self {
        Self {
            enabled: feed.enabled,
            dropped: feed.dropped,
            stream: streams::FEED.name_in(partition).into_owned(),
            subject: subjects::feed(partition, owner, ">"),
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
    Ok(Json(FeedView::new(&feed, app.partition, caller.user_id)))
}

/// Turn your feed on or off
///
/// While it is on, each click that is counted is published once on the subject
/// `feed.v1.<your id>.<code>` of the stream `FEED` (or where the answer says), and stays there for
/// 72 hours. What was counted before is not published; what
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
    let feed = write.await?;
    Ok(Json(FeedView::new(&feed, app.partition, caller.user_id)))
}
