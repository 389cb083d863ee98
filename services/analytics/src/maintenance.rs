//! The maintenance commands, on the admin listener.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chassis::extract::Query;
use chassis::problem::Problem;
use chassis::service::Command;
use serde::Deserialize;

use crate::audit;
use crate::dead_letters::{self, Which};
use crate::state::AppState;

/// The commands of the program.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "audit",
        path: "/audit",
        help: "compare what was announced, published and counted; fails if clicks are missing",
    },
    Command {
        name: "dead list",
        path: "/dead/list",
        help: "the messages that could not be read, and why",
    },
    Command {
        name: "dead retry",
        path: "/dead/retry",
        help: "[--sequence=N]  count what can be read by now; one message, or all",
    },
];

/// Their routes.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/audit", post(audit))
        .route("/dead/list", post(dead_list))
        .route("/dead/retry", post(dead_retry))
        .with_state(state)
}

/// 409 if clicks are missing.
async fn audit(State(state): State<AppState>) -> Result<Response, Problem> {
    let report = audit::audit(&state).await?;
    Ok(answer(report.missing == 0, report.text))
}

async fn dead_list(State(state): State<AppState>) -> Result<Response, Problem> {
    Ok(answer(true, dead_letters::list(&state).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    /// Of the message in the stream `DEAD`; all of them without it.
    sequence: Option<u64>,
}

/// 409 if one of them can't be counted still.
async fn dead_retry(
    State(state): State<AppState>,
    Query(retry): Query<Retry>,
) -> Result<Response, Problem> {
    let which = retry.sequence.map_or(Which::All, Which::One);
    let retried = dead_letters::retry(&state, which).await?;
    Ok(answer(retried.failed == 0, retried.text))
}

fn answer(is_good: bool, text: String) -> Response {
    let status = if is_good {
        StatusCode::OK
    } else {
        StatusCode::CONFLICT
    };
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
