//! All links of the caller.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use chassis::caller::Caller;
use chassis::extract;
use chassis::problem::Problem;

use super::PREFIX;
use super::bodies::{Deleted, LinkPage, LinkView, NewLinkBody};
use super::query::{DeleteAllQuery, ListQuery};
use super::refusals::{BadBody, Refusals};
use crate::app::AppState;
use crate::domain::Link;
use crate::error::Error;
use crate::measures;

/// Make a link
///
/// Under a code of your choice, or under a random one. Once this is answered the link is durable,
/// and can be followed at once (only while NATS is away, redirectors learn of it later).
#[utoipa::path(
    post,
    operation_id = "create_link",
    path = "/links",
    tag = "links",
    request_body(
        content = NewLinkBody,
        examples(
            ("random code" = (value = json!({ "url": "https://example.com/a/long/path" }))),
            ("custom code" = (value = json!({
                "url": "https://example.com/a/long/path",
                "code": "spring-sale",
                "title": "Spring sale, newsletter",
                "valid_until": "2027-04-01T00:00:00Z",
                "fallback_url": "https://example.com/over",
                "redirect_status": 307
            }))),
        ),
    ),
    responses(
        (status = 201, description = "The link was made", body = LinkView,
            headers(("Location" = String, description = "The path of the link in this API"))),
        (status = 409, description = "The code is taken", body = Problem,
            content_type = "application/problem+json",
            example = json!({
                "type": "about:blank", "title": "Conflict", "status": 409,
                "detail": "the code is already taken"
            })),
        Refusals,
        BadBody,
    ),
    security(("access_token" = [])),
)]
pub async fn create(
    State(app): State<AppState>,
    caller: Caller,
    extract::Json(body): extract::Json<NewLinkBody>,
) -> Result<impl IntoResponse, Problem> {
    let (new, chosen) = body.parse(&app.public_url)?;
    let codes = chosen.map_or_else(AppState::draw_codes, |code| vec![code]);
    let Some(first) = codes.first().cloned() else {
        return Err(Error::Unexpected(anyhow::anyhow!("no code was drawn")).into());
    };
    let link = Link::new(
        app.new_link_id(),
        caller.user_id,
        first,
        new,
        app.clock.now(),
    )
    .map_err(Error::from)?;
    let (link, row) = app.store.add(link, codes).await?;
    measures::link_created();
    app.published(row).await;
    let location = format!("{PREFIX}/links/{}", link.code);
    let view = LinkView::new(&link, &app.public_url);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(view)))
}

/// List links
///
/// Yours, page by page, newest first unless `sort` says otherwise. Pages stay correct while links
/// are added or deleted: none is repeated, none is passed over.
#[utoipa::path(
    get,
    operation_id = "list_links",
    path = "/links",
    tag = "links",
    params(ListQuery),
    responses(
        (status = 200, description = "A page of links", body = LinkPage, example = json!({
            "items": [{
                "code": "spring-sale",
                "short_url": "https://kurz.example/spring-sale",
                "url": "https://example.com/a/long/path",
                "title": "Spring sale, newsletter",
                "state": "active",
                "valid_from": null,
                "valid_until": "2027-04-01T00:00:00Z",
                "fallback_url": "https://example.com/over",
                "redirect_status": 307,
                "created_at": "2026-11-24T17:05:00.123Z",
                "updated_at": "2026-11-24T17:05:00.123Z"
            }],
            "next_cursor": "AQAAAZrG5nrrc3ByaW5nLXNhbGU"
        })),
        Refusals,
    ),
    security(("access_token" = [])),
)]
pub async fn list(
    State(app): State<AppState>,
    caller: Caller,
    extract::Query(query): extract::Query<ListQuery>,
) -> Result<Json<LinkPage>, Problem> {
    let page = app.store.page(query.parse(caller.user_id)?).await?;
    Ok(Json(LinkPage::new(&page, &app.public_url)))
}

/// Delete all links
///
/// All of yours, with `all=true`. They can't be followed any more, and their codes are free.
#[utoipa::path(
    delete,
    operation_id = "delete_all_links",
    path = "/links",
    tag = "links",
    params(DeleteAllQuery),
    responses(
        (status = 200, description = "They are deleted", body = Deleted,
            example = json!({ "deleted": 12 })),
        Refusals,
    ),
    security(("access_token" = [])),
)]
pub async fn delete_all(
    State(app): State<AppState>,
    caller: Caller,
    extract::Query(query): extract::Query<DeleteAllQuery>,
) -> Result<Json<Deleted>, Problem> {
    query.check()?;
    let (deleted, row) = app.store.delete_all(caller.user_id).await?;
    measures::links_deleted(deleted);
    if let Some(row) = row {
        app.published(row).await;
    }
    Ok(Json(Deleted { deleted }))
}
