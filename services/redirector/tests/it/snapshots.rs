use std::time::Duration;

use chassis::client_address::TrustedProxies;
use chassis::testing::{Folder, eventually};
use events::{LinkRecord, streams};
use reqwest::StatusCode;

use crate::support::{Stage, answers, browse, get, get_metrics, header, link};

#[tokio::test]
async fn it_starts_from_the_snapshot_while_nats_is_away() {
    let mut stage = Stage::new().await;
    stage.put(&link("docs")).await;
    stage.redirector().await.stop().await;

    stage.nats.stop().await;
    stage.snapshot_wait = Duration::from_millis(50);
    let running = stage.redirector().await;
    assert_eq!(get(&running, "/docs").await.status(), StatusCode::FOUND);

    // And catches up as soon as NATS is there.
    stage.nats.restart().await;
    stage.put(&link("new")).await;
    answers(&running, "new", StatusCode::FOUND).await;
    running.stop().await;
}

#[tokio::test]
async fn without_a_snapshot_it_is_not_ready_while_nats_is_away() {
    let mut stage = Stage::new().await;
    stage.put(&link("docs")).await;
    stage.nats.stop().await;
    stage.snapshot_wait = Duration::ZERO;
    let running = stage.start(stage.config(), TrustedProxies::default()).await;
    // Nobody can say whether there is such a link: a 404 would be remembered.
    let response = get(&running, "/docs").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, "retry-after"), "1");
    let page = browse(&running, "/docs").await;
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.text().await.unwrap().contains("try again"));
    let metrics = get_metrics(&running).await;
    assert!(metrics.contains("kurz_redirects_total{status=\"503\"}"));
    assert!(!running.is_ready());
    stage.nats.restart().await;
    running.ready().await;
    assert_eq!(get(&running, "/docs").await.status(), StatusCode::FOUND);
    assert_eq!(get(&running, "/none").await.status(), StatusCode::NOT_FOUND);
    running.stop().await;
}

#[tokio::test]
async fn one_that_is_killed_leaves_a_snapshot_behind() {
    let mut stage = Stage::new().await;
    let running = stage.redirector().await;
    stage.put(&link("docs")).await;
    // What a kill would leave, without the end at which a last snapshot is written.
    let left = stage.folder.path().join("links.snapshot");
    let copied = Folder::new();
    let copy = copied.path().join("links.snapshot");
    eventually(async || {
        let bytes = std::fs::read(&left).ok()?;
        let has_link = bytes.windows(4).any(|bytes| bytes == b"docs");
        has_link.then(|| std::fs::write(&copy, bytes).unwrap())
    })
    .await;
    running.stop().await;

    stage.nats.stop().await;
    stage.folder = copied;
    stage.snapshot_wait = Duration::ZERO;
    let running = stage.redirector().await;
    assert_eq!(get(&running, "/docs").await.status(), StatusCode::FOUND);
    running.stop().await;
}

#[tokio::test]
async fn a_snapshot_is_caught_up_with_what_changed_since() {
    let stage = Stage::new().await;
    let first = link("changed");
    stage.put(&link("same")).await;
    stage.put(&link("doomed")).await;
    stage.put(&first).await;
    stage.redirector().await.stop().await;

    stage
        .put(&LinkRecord {
            version: 2,
            redirect_status: 301,
            ..first
        })
        .await;
    stage.delete("doomed").await;
    let running = stage.redirector().await;
    assert_eq!(get(&running, "/same").await.status(), StatusCode::FOUND);
    assert_eq!(
        get(&running, "/doomed").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        get(&running, "/changed").await.status(),
        StatusCode::MOVED_PERMANENTLY
    );
    running.stop().await;
}

#[tokio::test]
async fn a_snapshot_of_another_bucket_is_served_and_then_corrected() {
    let stage = Stage::new().await;
    for number in 0..10 {
        stage.put(&link(&format!("old{number}"))).await;
    }
    stage.redirector().await.stop().await;

    stage
        .bus
        .jetstream()
        .delete_stream(streams::LINKS.name)
        .await
        .unwrap();
    stage.bus.declare(&streams::LINKS).await.unwrap();
    stage.put(&link("new")).await;
    let running = stage.redirector().await;
    assert_eq!(get(&running, "/new").await.status(), StatusCode::FOUND);
    answers(&running, "old3", StatusCode::NOT_FOUND).await;
    running.stop().await;
}

#[tokio::test]
async fn a_damaged_snapshot_is_as_good_as_none() {
    let stage = Stage::new().await;
    stage.put(&link("docs")).await;
    stage.redirector().await.stop().await;
    let path = stage.folder.path().join("links.snapshot");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    let running = stage.redirector().await;
    assert_eq!(get(&running, "/docs").await.status(), StatusCode::FOUND);
    running.stop().await;
}
