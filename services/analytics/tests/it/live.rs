//! Who may watch, how many, how slowly, and until when.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use chassis::testing::eventually;
use events::{AccountClosed, streams, subjects};
use jiff::SignedDuration;
use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{Events, Link, TestApp, User, number};

async fn with_ticket(app: &TestApp, ticket: &str) -> reqwest::Response {
    let url = format!("{}/analytics/stream?ticket={ticket}", app.running.url);
    app.running.client().get(url).send().await.unwrap()
}

async fn close(app: &TestApp, user: &User) {
    let bus = app.running.bus();
    bus.declare(&streams::ACCOUNTS).await.unwrap();
    let payload = AccountClosed {
        user_id: user.id,
        at_ms: app.clock.now_ms(),
    }
    .encode();
    let subject = subjects::account_closed(user.id);
    bus.jetstream()
        .publish(subject, payload.into())
        .await
        .unwrap()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_ticket_opens_one_stream_of_its_owner() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.user(), app.user());
    let ticket = app.ticket(&alice).await;
    let mut stream = Events::of(with_ticket(&app, &ticket).await);
    let again = with_ticket(&app, &ticket).await;
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
    let mut clicks = Link::new(&bob, "news").numbered(0..1);
    clicks.extend(Link::new(&alice, "docs").numbered(1..2));
    app.spool().publish(clicks).await;
    assert_eq!(stream.numbers(1).await, [1]);
}

#[tokio::test]
async fn a_ticket_is_good_for_a_minute_only() {
    let app = TestApp::start().await;
    let alice = app.user();
    let ticket = app.ticket(&alice).await;
    app.clock.advance(SignedDuration::from_secs(60));
    let late = with_ticket(&app, &ticket).await;
    assert_eq!(late.status(), StatusCode::UNAUTHORIZED);
    assert!(late.headers().contains_key("www-authenticate"));
}

#[tokio::test]
async fn nobody_has_more_streams_than_the_limit() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.user(), app.user());
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(app.watch(&alice, "/stream", None).await);
    }
    let refused = app.request(&alice, "/stream").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    app.watch(&bob, "/stream", None).await;
    streams.pop();
    eventually(|| async {
        let response = app.request(&alice, "/stream").send().await.unwrap();
        (response.status() == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_with_its_account() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.user(), app.user());
    let mut stream = app.watch(&alice, "/stream", None).await;
    let mut others = app.watch(&bob, "/stream", None).await;
    let ticket = app.ticket(&alice).await;
    close(&app, &alice).await;
    let end = stream.next().await.unwrap();
    assert_eq!(
        (end.name.as_str(), &end.data["reason"]),
        ("end", &"account_closed".into())
    );
    assert_eq!(stream.next().await, None);
    assert_eq!(
        with_ticket(&app, &ticket).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let again = app.request(&alice, "/stream").send().await.unwrap();
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
    app.spool()
        .publish(Link::new(&bob, "news").numbered(0..1))
        .await;
    assert_eq!(others.numbers(1).await, [0]);
}

#[tokio::test]
async fn a_stream_ends_when_the_service_stops() {
    let app = TestApp::start().await;
    let alice = app.user();
    let mut stream = app.watch(&alice, "/stream", None).await;
    let TestApp { running, .. } = app;
    let ((), end) = tokio::join!(running.stop(), async { stream.next().await.unwrap() });
    assert_eq!(
        (end.name.as_str(), &end.data["reason"]),
        ("end", &"shutdown".into())
    );
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_told_so_and_can_go_on() {
    const BATCHES: usize = 120;
    const SIZE: usize = 500;
    let app = TestApp::start().await;
    let alice = app.user();
    let link = Link::new(&alice, "docs");
    let mut stream = app.watch(&alice, "/stream", None).await.opened().await;
    let mut spool = app.spool();
    // More than what the connection itself holds.
    for batch in 0..BATCHES {
        spool
            .publish(link.numbered(batch * SIZE..(batch + 1) * SIZE))
            .await;
    }
    eventually(|| async {
        let metrics = format!("{}/metrics", app.running.admin_url);
        let text = app
            .running
            .client()
            .get(metrics)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        text.contains("reason=\"too_slow\"").then_some(())
    })
    .await;
    let mut seen = Vec::new();
    let end = loop {
        let event = stream.next().await.unwrap();
        if event.name == "end" {
            break event;
        }
        seen.push(number(&event));
    };
    assert_eq!(end.data["reason"], Value::from("too_slow"));
    assert_eq!(stream.next().await, None);
    assert!(seen.len() < BATCHES * SIZE);
    let last = stream.last_event_id.take();
    let mut stream = app.watch(&alice, "/stream", last.as_deref()).await;
    seen.extend(stream.numbers(BATCHES * SIZE - seen.len()).await);
    assert_eq!(seen, (0..BATCHES * SIZE).collect::<Vec<_>>());
}
