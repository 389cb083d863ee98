//! Tickets for live streams.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderName};
use chassis::caller::Caller;

use super::bodies::StreamTicket;
use super::refusals::{Refusals, TooMany};
use crate::error::Error;
use crate::forward;
use crate::state::AppState;
use crate::streams::TICKET_LIFETIME;

/// Get a ticket for a live stream
///
/// For `EventSource` in a browser, which can't send a header: `?ticket=…` opens one live stream,
/// once, within a minute. When that stream has ended, a new one needs a new ticket; give it
/// `last_event_id`, too.
#[utoipa::path(
    post,
    path = "/stream/tickets",
    operation_id = "issue_stream_ticket",
    tag = "live",
    responses(
        (status = 201, description = "A ticket", body = StreamTicket),
        TooMany,
        Refusals,
    ),
    security(("access_token" = [])),
)]
pub async fn issue(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<
    (
        StatusCode,
        [(HeaderName, &'static str); 1],
        Json<StreamTicket>,
    ),
    Error,
> {
    let ticket = app.streams.tickets.issue(caller.user_id, app.clock.now())?;
    let body = StreamTicket {
        ticket: forward::mark_ticket(&ticket.secret, app.partition),
        expires_at: ticket.expires_at,
        expires_in: TICKET_LIFETIME.as_secs(),
    };
    Ok((
        StatusCode::CREATED,
        [(CACHE_CONTROL, "no-store")],
        Json(body),
    ))
}
