use e2e::Stack;
use reqwest::{Method, StatusCode};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn redirects_work_while_nats_is_away_and_are_counted_afterwards() {
    let mut stack = Stack::start().await;
    let ada = stack.account("ada").await;
    ada.link("before", "https://example.org/").await;
    stack.visit("before").await;
    ada.counted("before", 1).await;

    stack.nats.stop().await;
    for _ in 0..50 {
        assert_eq!(stack.visit("before").await.status(), StatusCode::FOUND);
    }
    // Links can be made as well; they lead somewhere once the bus is back.
    let body = json!({ "code": "during", "url": "https://example.org/" });
    let (status, _) = ada.ask(Method::POST, "/shortener/links", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED);
    stack.nats.restart().await;

    stack.answers("during", StatusCode::FOUND).await;
    assert_eq!(ada.counted("before", 51).await["clicks"], 51);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_flushes_every_click() {
    let stack = Stack::start().await;
    let ada = stack.account("ada").await;
    ada.link("busy", "https://example.org/").await;
    for _ in 0..200 {
        assert_eq!(stack.visit("busy").await.status(), StatusCode::FOUND);
    }
    let stack = stack.restart_redirector().await;
    assert_eq!(ada.counted("busy", 200).await["clicks"], 200);
    stack.visit("busy").await;
    assert_eq!(ada.counted("busy", 201).await["clicks"], 201);
}
