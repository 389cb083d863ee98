//! One link of the caller.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chassis::caller::Caller;
use chassis::extract;
use chassis::problem::Problem;

use super::bodies::{LinkChangeBody, LinkView};
use super::refusals::{BadBody, NoSuchLink, Refusals};
use crate::app::AppState;
use crate::domain::Code;
use crate::error::Error;
use crate::measures;

/// Get a link
#[utoipa::path(
    get,
    operation_id = "get_link",
    path = "/links/{code}",
    tag = "links",
    description = "One of your links, by its code.",
    params(("code" = String, Path, description = "The code of the link",
        example = "spring-sale", pattern = "^[A-Za-z0-9_-]{1,64}$")),
    responses(
        (status = 200, description = "The link", body = LinkView),
        NoSuchLink,
        Refusals,
    ),
    security(("access_token" = [])),
)]
pub async fn get(
    State(app): State<AppState>,
    caller: Caller,
    extract::Path(code): extract::Path<String>,
) -> Result<Json<LinkView>, Problem> {
    let link = app.store.link(caller.user_id, parse(&code)?).await?;
    let link = link.ok_or(Error::NoSuchLink)?;
    Ok(Json(LinkView::new(&link, &app.public_url)))
}

/// Change a link
///
/// A partial update: a field that is missing stays as it is, `null` clears it. The code can't be
/// changed: it is what people have in their hands.
#[utoipa::path(
    patch,
    operation_id = "change_link",
    path = "/links/{code}",
    tag = "links",
    params(("code" = String, Path, description = "The code of the link",
        example = "spring-sale", pattern = "^[A-Za-z0-9_-]{1,64}$")),
    request_body(
        content = LinkChangeBody,
        examples(
            ("another target" = (value = json!({ "url": "https://example.com/summer" }))),
            ("switch off" = (value = json!({ "state": "disabled" }))),
            ("no title, no end" = (value = json!({ "title": null, "valid_until": null }))),
        ),
    ),
    responses(
        (status = 200, description = "The link as it is now", body = LinkView),
        NoSuchLink,
        Refusals,
        BadBody,
    ),
    security(("access_token" = [])),
)]
pub async fn update(
    State(app): State<AppState>,
    caller: Caller,
    extract::Path(code): extract::Path<String>,
    extract::Json(body): extract::Json<LinkChangeBody>,
) -> Result<Json<LinkView>, Problem> {
    let code = parse(&code)?;
    let change = body.parse(&app.public_url)?;
    let (link, row) = app
        .store
        .change(caller.user_id, code, change, app.clock.now())
        .await?;
    if let Some(row) = row {
        app.published(row).await;
    }
    Ok(Json(LinkView::new(&link, &app.public_url)))
}

/// Delete a link
///
/// It can't be followed any more, and its code is free for a new link, which starts at zero.
#[utoipa::path(
    delete,
    operation_id = "delete_link",
    path = "/links/{code}",
    tag = "links",
    params(("code" = String, Path, description = "The code of the link",
        example = "spring-sale", pattern = "^[A-Za-z0-9_-]{1,64}$")),
    responses(
        (status = 204, description = "It is deleted"),
        NoSuchLink,
        Refusals,
    ),
    security(("access_token" = [])),
)]
pub async fn delete(
    State(app): State<AppState>,
    caller: Caller,
    extract::Path(code): extract::Path<String>,
) -> Result<StatusCode, Problem> {
    let row = app.store.delete(caller.user_id, parse(&code)?).await?;
    measures::links_deleted(1);
    app.published(row).await;
    Ok(StatusCode::NO_CONTENT)
}

/// What is no code names no link.
fn parse(code: &str) -> Result<Code, Error> {
    Code::parse(code).map_err(|_| Error::NoSuchLink)
}
