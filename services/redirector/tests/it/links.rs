use chassis::client_address::TrustedProxies;
use events::{LinkRecord, streams};
use reqwest::StatusCode;

use crate::support::{Stage, answers, get, get_metrics, header, link};

#[tokio::test]
async fn a_link_redirects_with_its_status_and_is_never_cached() {
    let stage = Stage::new().await;
    stage.put(&link("docs")).await;
    stage
        .put(&LinkRecord {
            redirect_status: 301,
            ..link("moved")
        })
        .await;
    stage
        .put(&LinkRecord {
            redirect_status: 308,
            ..link("A_z-9")
        })
        .await;
    stage
        .put(&LinkRecord {
            redirect_status: 200,
            ..link("odd")
        })
        .await;
    let running = stage.redirector().await;
    for (code, status) in [("docs", 302), ("moved", 301), ("A_z-9", 308), ("odd", 302)] {
        let response = get(&running, &format!("/{code}?utm=ignored")).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(
            header(&response, "location"),
            format!("https://example.org/{code}?a=b&c=%20")
        );
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert!(
            !response.headers().contains_key("referrer-policy"),
            "left to the target"
        );
        assert!(response.bytes().await.unwrap().is_empty());
    }
    running.stop().await;
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let stage = Stage::new().await;
    stage.put(&link("docs")).await;
    let running = stage.redirector().await;
    for (code, status) in [("docs", 302), ("nowhere", 404)] {
        let request = running.client().head(format!("{}/{code}", running.url));
        let response = request.header("accept", "text/html").send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers().contains_key("location"), status == 302);
        assert!(response.bytes().await.unwrap().is_empty());
    }
    running.stop().await;
}

#[tokio::test]
async fn codes_differ_by_case() {
    let stage = Stage::new().await;
    stage.put(&link("Docs")).await;
    let running = stage.redirector().await;
    assert_eq!(get(&running, "/Docs").await.status(), StatusCode::FOUND);
    assert_eq!(get(&running, "/docs").await.status(), StatusCode::NOT_FOUND);
    running.stop().await;
}

#[tokio::test]
async fn changes_and_deletions_are_seen() {
    let stage = Stage::new().await;
    let running = stage.redirector().await;
    let first = link("docs");
    stage.put(&first).await;
    answers(&running, "docs", StatusCode::FOUND).await;

    let second = LinkRecord {
        version: 2,
        redirect_status: 307,
        ..first.clone()
    };
    stage.put(&second).await;
    answers(&running, "docs", StatusCode::TEMPORARY_REDIRECT).await;

    // An older version that comes late changes nothing.
    stage.put(&first).await;
    stage.put(&link("after")).await;
    answers(&running, "after", StatusCode::FOUND).await;
    assert_eq!(
        get(&running, "/docs").await.status(),
        StatusCode::TEMPORARY_REDIRECT
    );

    stage.delete("docs").await;
    answers(&running, "docs", StatusCode::NOT_FOUND).await;

    // Somebody else takes the code.
    stage
        .put(&LinkRecord {
            redirect_status: 308,
            ..link("docs")
        })
        .await;
    answers(&running, "docs", StatusCode::PERMANENT_REDIRECT).await;
    running.stop().await;
}

#[tokio::test]
async fn it_is_ready_once_the_whole_table_is_there() {
    const LINKS: usize = 3_000;
    let stage = Stage::without_streams().await;
    let running = stage.start(stage.config(), TrustedProxies::default()).await;
    let early = get(&running, "/c0").await;
    assert_eq!(early.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!running.is_ready(), "there is no bucket yet");
    let health = format!("{}/health/ready", running.admin_url);
    let answer = running.client().get(&health).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);

    stage.bus.declare(&streams::LINKS).await.unwrap();
    stage.bus.declare(&streams::CLICKS).await.unwrap();
    running.ready().await;
    for number in 0..LINKS {
        stage.put(&link(&format!("c{number}"))).await;
    }

    let mut config = stage.config();
    config.spool = stage.folder.path().join("second");
    let second = stage
        .redirector_with(config, TrustedProxies::default())
        .await;
    for number in [0, 1, LINKS / 2, LINKS - 1] {
        let response = get(&second, &format!("/c{number}")).await;
        assert_eq!(
            response.status(),
            StatusCode::FOUND,
            "c{number} as soon as it is ready"
        );
    }
    let metrics = get_metrics(&second).await;
    let all = format!("kurz_link_table_links {LINKS}\n");
    assert!(metrics.contains(&all), "{metrics}");
    second.stop().await;
    running.stop().await;
}

#[tokio::test]
async fn it_keeps_serving_while_nats_is_away_and_catches_up_after() {
    let mut stage = Stage::new().await;
    stage.put(&link("docs")).await;
    stage.put(&link("doomed")).await;
    let running = stage.redirector().await;

    stage.nats.stop().await;
    for _ in 0..3 {
        assert_eq!(get(&running, "/docs").await.status(), StatusCode::FOUND);
    }
    assert!(running.is_ready());
    stage.nats.restart().await;
    stage.put(&link("new")).await;
    stage.delete("doomed").await;
    answers(&running, "new", StatusCode::FOUND).await;
    answers(&running, "doomed", StatusCode::NOT_FOUND).await;
    assert_eq!(get(&running, "/docs").await.status(), StatusCode::FOUND);
    running.stop().await;
}

#[tokio::test]
async fn a_bucket_made_anew_is_read_anew() {
    let stage = Stage::new().await;
    let kept = link("kept");
    stage.put(&link("gone")).await;
    stage.put(&kept).await;
    for number in 0..20 {
        stage.put(&link(&format!("filler{number}"))).await;
    }
    let running = stage.redirector().await;

    stage
        .bus
        .jetstream()
        .delete_stream(streams::LINKS.name)
        .await
        .unwrap();
    stage.bus.declare(&streams::LINKS).await.unwrap();
    assert_eq!(
        get(&running, "/gone").await.status(),
        StatusCode::FOUND,
        "an empty bucket is lost"
    );
    stage.put(&kept).await;
    stage.put(&link("new")).await;

    answers(&running, "new", StatusCode::FOUND).await;
    answers(&running, "gone", StatusCode::NOT_FOUND).await;
    answers(&running, "filler7", StatusCode::NOT_FOUND).await;
    assert_eq!(get(&running, "/kept").await.status(), StatusCode::FOUND);
    running.stop().await;
}

#[tokio::test]
async fn redirects_and_the_table_are_measured() {
    let stage = Stage::new().await;
    stage.put(&link("docs")).await;
    let running = stage.redirector().await;
    get(&running, "/docs").await;
    get(&running, "/nowhere").await;
    let metrics = get_metrics(&running).await;
    for name in [
        "kurz_redirects_total{status=\"302\"}",
        "kurz_redirects_total{status=\"404\"}",
        "kurz_redirect_duration_seconds",
        "kurz_link_table_links",
        "kurz_link_table_snapshot_age_seconds",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
    running.stop().await;
}
