//! The maintenance commands, on the admin listener.

use std::io;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chassis::admin;
use chassis::backups::Backups;
use chassis::extract::Query;
use chassis::problem::Problem;
use chassis::service::Command;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::audit;
use crate::dead_letters::{self, Which};
use crate::rebuild;
use crate::state::AppState;

/// Where a copy of `clicks.db` is made.
const BACKUP: &str = "/backup/clicks";

/// The commands of the program.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "audit",
        path: "/audit",
        help: "compare what was announced, published and counted; fails if clicks are missing",
    },
    Backups::command(BACKUP),
    Command {
        name: "rebuild",
        path: "/rebuild",
        help: "[--accept] [--newest]  count the stream again, compare, and take over if accepted",
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
    let backups = state.backups.clone();
    let backups = backups.router(
        BACKUP,
        state.database.clone(),
        state.clock.clone(),
        state.shutdown.clone(),
    );
    Router::new()
        .route("/audit", post(audit))
        .route("/rebuild", post(rebuild))
        .route("/dead/list", post(dead_list))
        .route("/dead/retry", post(dead_retry))
        .with_state(state)
        .merge(backups)
}

/// 409 if clicks are missing.
async fn audit(State(state): State<AppState>) -> Result<Response, Problem> {
    let report = audit::audit(&state).await?;
    Ok(answer(report.missing == 0, report.text))
}

/// Always 200: what comes out is known at the end, and stands in the last line. Whoever goes away
/// gives the rebuild up. An answer without an end is one that was cut off.
async fn rebuild(
    State(state): State<AppState>,
    Query(options): Query<rebuild::Options>,
) -> Response {
    let (output, lines) = rebuild::channel();
    let (ended, end) = oneshot::channel();
    let worker = state.clone();
    state.shutdown.spawn("rebuild", async move {
        if let Err(error) = rebuild::rebuild(&worker, options, &output).await {
            tracing::warn!(error = format!("{error:#}"), "no rebuild");
            // Whoever asked may be gone.
            let _ = output.line(&format!("{}{error:#}", admin::FAILED)).await;
        }
        let _ = ended.send(());
        Ok(())
    });
    let lines = stream::unfold((lines, Some(end)), |(mut lines, mut end)| async move {
        if let Some(line) = lines.recv().await {
            return Some((Ok::<_, io::Error>(line), (lines, end)));
        }
        // The worker is gone: in order, or because it panicked.
        let in_order = end.take()?.await.is_ok();
        (!in_order).then(|| (Err(io::ErrorKind::BrokenPipe.into()), (lines, None)))
    });
    let text = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    (text, Body::from_stream(lines)).into_response()
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
    // In a task of its own: whoever asked may go away, and half of a retry is none.
    let retry = tokio::spawn(async move { dead_letters::retry(&state, which).await });
    let retried = retry
        .await
        .map_err(|error| Problem::internal(&anyhow::Error::new(error)))??;
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
