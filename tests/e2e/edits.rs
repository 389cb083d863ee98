use e2e::Stack;
use reqwest::{Method, StatusCode};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_redirector_sees_edits_and_deletions() {
    let stack = Stack::start().await;
    let ada = stack.account("ada").await;
    ada.link("page", "https://example.org/old").await;
    stack.answers("page", StatusCode::FOUND).await;

    let edit = json!({ "url": "https://example.org/new", "redirect_status": 308 });
    let edited = ada
        .ask(Method::PATCH, "/shortener/links/page", Some(edit))
        .await;
    assert_eq!(edited.0, StatusCode::OK);
    stack.answers("page", StatusCode::PERMANENT_REDIRECT).await;
    assert_eq!(
        stack.visit("page").await.headers()["location"],
        "https://example.org/new"
    );

    let edit = json!({ "state": "disabled" });
    ada.ask(Method::PATCH, "/shortener/links/page", Some(edit))
        .await;
    stack.answers("page", StatusCode::GONE).await;

    let deleted = ada.ask(Method::DELETE, "/shortener/links/page", None).await;
    assert_eq!(deleted.0, StatusCode::NO_CONTENT);
    stack.answers("page", StatusCode::NOT_FOUND).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_somebody_else_takes_starts_at_zero() {
    let stack = Stack::start().await;
    let ada = stack.account("ada").await;
    let bob = stack.account("bob").await;
    ada.link("shared", "https://example.org/a").await;
    stack.visit("shared").await;
    ada.counted("shared", 1).await;
    ada.ask(Method::DELETE, "/shortener/links/shared", None)
        .await;
    stack.answers("shared", StatusCode::NOT_FOUND).await;

    bob.link("shared", "https://example.org/b").await;
    stack.answers("shared", StatusCode::FOUND).await;
    stack.visit("shared").await;
    assert_eq!(bob.counted("shared", 1).await["clicks"], 1);
}
