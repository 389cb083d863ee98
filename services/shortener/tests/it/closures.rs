use chassis::testing::eventually;
use events::streams::ACCOUNTS;
use events::{AccountClosed, subjects};
use serde_json::json;
use uuid::Uuid;

use crate::support::TestApp;

/// What auth does when an account is closed.
async fn close(app: &TestApp, user_id: Uuid, payload: Vec<u8>) {
    let bus = app.running().bus();
    bus.declare(&ACCOUNTS).await.unwrap();
    let subject = subjects::account_closed(user_id);
    bus.jetstream()
        .publish(subject, payload.into())
        .await
        .unwrap()
        .await
        .unwrap();
}

fn closed(user_id: Uuid) -> Vec<u8> {
    AccountClosed { user_id, at_ms: 1 }.encode()
}

#[tokio::test]
async fn the_links_of_a_closed_account_vanish_and_its_token_is_refused() {
    let mut app = TestApp::start().await;
    let (ann, ben) = (app.user(), app.user());
    for number in 0..5 {
        ann.link(&format!("ann{number}"), "https://example.com/")
            .await;
    }
    ben.link("ben", "https://example.com/").await;
    close(&app, ann.id, closed(ann.id)).await;

    eventually(|| async { (ann.get("/shortener/links").await.status == 401).then_some(()) }).await;
    app.bucket_holds(&ben.links().await).await;
    ben.link("ann0", "https://example.com/free-again").await;

    // Still refused after a restart, at once, also while NATS is away.
    app.stop().await;
    app.nats.stop().await;
    app.run().await;
    app.user_with(ann.id)
        .get("/shortener/links")
        .await
        .is_problem(401);
    assert_eq!(app.user_with(ben.id).links().await.len(), 2);
}

#[tokio::test]
async fn an_account_that_was_closed_while_we_were_away_loses_its_links() {
    let mut app = TestApp::start().await;
    let (ann, eve) = (app.user(), app.user());
    ann.link("ann", "https://example.com/").await;
    eve.link("eve", "https://example.com/").await;
    close(&app, ann.id, closed(ann.id)).await;
    // An unreadable message: its subject still says who it was.
    close(&app, eve.id, b"not msgpack".to_vec()).await;
    app.restart().await;
    app.bucket_holds(&std::collections::BTreeMap::new()).await;
    for id in [ann.id, eve.id] {
        let late = app.user_with(id);
        eventually(|| async {
            let answer = late.post(json!({ "url": "https://example.com/" })).await;
            (answer.status == 401).then_some(())
        })
        .await;
    }
}
