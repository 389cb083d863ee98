use std::collections::BTreeMap;

use chassis::testing::eventually;
use events::streams::LINKS;
use events::{LinkRecord, subjects};
use serde_json::json;

use crate::support::TestApp;

async fn put(app: &TestApp, code: &str, payload: Vec<u8>) {
    let jetstream = app.running().bus().jetstream();
    jetstream
        .publish(subjects::link(code), payload.into())
        .await
        .unwrap()
        .await
        .unwrap();
}

#[tokio::test]
async fn the_bucket_equals_the_database_after_nats_was_away() {
    let mut app = TestApp::start().await;
    let user = app.user();
    for code in ["stays", "changes", "goes"] {
        user.link(code, "https://example.com/before").await;
    }
    app.nats.stop().await;
    for number in 0..20 {
        user.link(&format!("away{number}"), "https://example.com/away")
            .await;
    }
    user.patch("changes", json!({ "url": "https://example.com/after" }))
        .await;
    assert_eq!(user.delete("/shortener/links/goes").await.status, 204);
    user.link("goes", "https://example.com/again").await;
    assert_eq!(user.delete("/shortener/links/away0").await.status, 204);
    app.nats.restart().await;
    let links = user.links().await;
    assert_eq!(links.len(), 22);
    app.bucket_holds(&links).await;
    assert!(app.resync().await.ends_with("0 written, 0 removed\n"));
}

#[tokio::test]
async fn what_waits_in_the_outbox_is_sent_after_a_restart() {
    let mut app = TestApp::start().await;
    let user = app.user();
    user.link("before", "https://example.com/").await;
    app.nats.stop().await;
    user.link("away", "https://example.com/").await;
    app.stop().await;
    app.nats.restart().await;
    app.run().await;
    app.bucket_holds(&app.user_with(user.id).links().await)
        .await;
}

#[tokio::test]
async fn it_starts_and_serves_without_nats() {
    let mut app = TestApp::start().await;
    app.stop().await;
    app.nats.stop().await;
    app.run().await;
    let user = app.user();
    user.link("early", "https://example.com/").await;
    let url = format!("{}/resync", app.running().admin_url);
    assert_eq!(
        app.running()
            .client()
            .post(url)
            .send()
            .await
            .unwrap()
            .status(),
        503
    );
    app.nats.restart().await;
    app.bucket_holds(&user.links().await).await;
}

#[tokio::test]
async fn a_comparison_repairs_a_bucket_that_somebody_changed() {
    let app = TestApp::start().await;
    let user = app.user();
    for code in ["ok", "changed", "unreadable", "deleted", "newest"] {
        user.link(code, &format!("https://example.com/{code}"))
            .await;
    }
    let records = app.bucket().await;
    assert!(
        app.resync()
            .await
            .starts_with("5 links, 5 values; 0 written")
    );

    let evil = |code: &str, version| {
        let record = records[code].clone();
        LinkRecord {
            url: "https://evil.example/".to_owned(),
            version,
            ..record
        }
        .encode()
    };
    put(&app, "changed", evil("changed", 41)).await;
    put(&app, "newest", evil("newest", u64::MAX)).await;
    put(&app, "unreadable", b"?".to_vec()).await;
    put(&app, "extra", evil("ok", 1)).await;
    put(&app, "ex.tra", b"not even a code".to_vec()).await;
    let mut delete = async_nats::HeaderMap::new();
    delete.insert("KV-Operation", "DEL");
    let jetstream = app.running().bus().jetstream();
    let subject = subjects::link("deleted");
    jetstream
        .publish_with_headers(subject, delete, "".into())
        .await
        .unwrap()
        .await
        .unwrap();

    assert_eq!(
        app.resync().await,
        "5 links, 6 values; 4 written, 2 removed\n"
    );
    let repaired = app.bucket().await;
    app.bucket_holds(&user.links().await).await;
    assert_eq!(
        repaired["changed"].version, 42,
        "newer than what redirectors may have seen"
    );
    assert_eq!(repaired["ok"], records["ok"]);
    assert_eq!(
        app.resync().await,
        "5 links, 5 values; 0 written, 0 removed\n"
    );
}

#[tokio::test]
async fn a_bucket_that_was_deleted_is_made_anew() {
    let mut app = TestApp::start().await;
    let user = app.user();
    for number in 0..30 {
        user.link(&format!("link{number}"), "https://example.com/")
            .await;
    }
    app.running()
        .bus()
        .jetstream()
        .delete_stream(LINKS.name)
        .await
        .unwrap();
    assert_eq!(
        app.resync().await,
        "30 links, 0 values; 30 written, 0 removed\n"
    );
    app.bucket_holds(&user.links().await).await;

    // And by itself at a start.
    app.running()
        .bus()
        .jetstream()
        .delete_stream(LINKS.name)
        .await
        .unwrap();
    app.restart().await;
    app.bucket_holds(&app.user_with(user.id).links().await)
        .await;
}

#[tokio::test]
async fn many_links_made_at_once_all_arrive() {
    let app = TestApp::start().await;
    let user = std::sync::Arc::new(app.user());
    let makers: Vec<_> = (0..8)
        .map(|maker| {
            let user = user.clone();
            tokio::spawn(async move {
                for number in 0..25 {
                    let url = format!("https://example.com/{maker}/{number}");
                    assert_eq!(user.post(json!({ "url": url })).await.status, 201);
                }
            })
        })
        .collect();
    for maker in makers {
        maker.await.unwrap();
    }
    let links: BTreeMap<_, _> = user.links().await;
    assert_eq!(links.len(), 200);
    app.bucket_holds(&links).await;
    let codes: Vec<_> = links.keys().collect();
    for code in &codes[..50] {
        user.patch(code, json!({ "url": "https://example.com/changed" }))
            .await;
    }
    eventually(|| async {
        let bucket = app.bucket().await;
        codes[..50]
            .iter()
            .all(|code| bucket[*code].version == 2)
            .then_some(())
    })
    .await;
}
