//! Live streams: one event for each click.

use axum::extract::{FromRequestParts, State};
use axum::http::HeaderName;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response, Sse};
use chassis::caller::Caller;
use chassis::extract;
use chassis::problem::Problem;
use uuid::Uuid;

use super::query::{self, StreamQuery};
use super::refusals::{BadQuery, NoSuchLink, Refusals, TooMany};
use super::totals::code_in_path;
use crate::domain::{ClickFilter, EventId};
use crate::error::Error;
use crate::forward;
use crate::state::AppState;
use crate::store::reports;
use crate::streams::{self, ClickEvent, Watch};

/// The header with which `EventSource` comes again.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Whoever may watch: an access token, or a ticket; with what they want to see.
pub struct Viewer {
    user_id: Uuid,
    filter: ClickFilter,
    last_event_id: Option<EventId>,
}

impl FromRequestParts<AppState> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let extract::Query(query) =
            extract::Query::<StreamQuery>::from_request_parts(parts, app).await?;
        let user_id = match &query.ticket {
            Some(ticket) => forward::secret_of(ticket, app.partition)
                .and_then(|secret| app.streams.tickets.redeem(secret, app.clock.now()))
                .ok_or(Error::BadTicket)?,
            None => Caller::from_request_parts(parts, app).await?.user_id,
        };
        let filter = ClickFilter::new(query.kind.as_deref(), query.country.as_deref());
        // A header that is no text is no id either. An empty one says what its absence says.
        let header = parts
            .headers
            .get(LAST_EVENT_ID)
            .map(|id| id.to_str().unwrap_or("?"));
        let id = header
            .or(query.last_event_id.as_deref())
            .filter(|id| !id.is_empty());
        Ok(Self {
            user_id,
            filter: filter.map_err(Error::from)?,
            last_event_id: query::optional("last_event_id", id)?,
        })
    }
}

/// Watch all your clicks
///
/// Server-Sent Events that do not end: `click` for each click of your links, once it is counted,
/// with a [`ClickEvent`](#/components/schemas/ClickEvent) as data. The id of an event is its place
/// in the stream of all clicks: who comes again with `Last-Event-ID` gets everything since, without
/// a gap or a repeat. What is no longer there is announced by an event `gap`. A comment every 15
/// seconds keeps the connection open; it also moves the id on. Before the server closes the stream
/// it says why in an event `end`: `too_slow` (nothing was read for 10 seconds), `renew` (after an
/// hour), `shutdown` or `account_closed`. An account can have 16 streams at once.
#[utoipa::path(
    get,
    path = "/stream",
    operation_id = "watch_clicks",
    tag = "live",
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event seen",
            nullable = false, example = "4711-0"),
    ),
    responses(
        (status = 200, description = "Events, without an end", body = ClickEvent,
            content_type = "text/event-stream",
            example = "event: click\nid: 4711-0\ndata: {\"code\":\"docs\", …}\n\n"),
        BadQuery,
        TooMany,
        Refusals,
    ),
    security(("access_token" = []), ()),
)]
pub async fn all(State(app): State<AppState>, viewer: Viewer) -> Result<Response, Error> {
    watch(app, viewer, None).await
}

/// Watch a link's clicks
///
/// The same as for all your clicks, of your newest link with this code.
#[utoipa::path(
    get,
    path = "/links/{code}/stream",
    operation_id = "watch_link_clicks",
    tag = "live",
    params(
        ("code" = String, Path, description = "The code of the link",
            example = "rust", pattern = "^[A-Za-z0-9_-]{1,64}$"),
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event seen",
            nullable = false, example = "4711-0"),
    ),
    responses(
        (status = 200, description = "Events, without an end", body = ClickEvent,
            content_type = "text/event-stream",
            example = "event: click\nid: 4711-0\ndata: {\"code\":\"docs\", …}\n\n"),
        NoSuchLink,
        BadQuery,
        TooMany,
        Refusals,
    ),
    security(("access_token" = []), ()),
)]
pub async fn one(
    State(app): State<AppState>,
    viewer: Viewer,
    extract::Path(code): extract::Path<String>,
) -> Result<Response, Error> {
    let (code, owner) = (code_in_path(&code)?, viewer.user_id);
    let link = app
        .database
        .read(move |c| Ok::<_, Error>(reports::newest_link(c, owner, &code)?))
        .await?;
    watch(app, viewer, Some(link.ok_or(Error::NoSuchLink)?)).await
}

async fn watch(app: AppState, viewer: Viewer, link_id: Option<Uuid>) -> Result<Response, Error> {
    let Viewer {
        user_id,
        filter,
        last_event_id,
    } = viewer;
    let slot = app.streams.enter(user_id)?;
    let watch = Watch {
        owner: user_id,
        link_id,
        filter,
        last_event_id,
    };
    let events = streams::open(app, watch, slot).await?;
    // nginx would hold events back until a buffer is full.
    Ok(([("x-accel-buffering", "no")], Sse::new(events)).into_response())
}
