use serde_json::json;

use crate::support::TestApp;

#[tokio::test]
async fn a_link_is_made_under_a_random_code() {
    let app = TestApp::start().await;
    let user = app.user();
    let made = user.post(json!({ "url": "HTTPS://Example.com/a b" })).await;
    assert_eq!(made.status, 201);
    let code = made.body["code"].as_str().unwrap();
    assert_eq!(code.len(), 7);
    assert!(
        code.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() && !b"0Oo1Iil".contains(&byte))
    );
    assert_eq!(made.headers["location"], format!("/shortener/links/{code}"));
    assert_eq!(made.body["url"], "https://example.com/a%20b");
    assert_eq!(made.body["short_url"], format!("http://kurz.test/{code}"));
    assert_eq!(made.body["redirect_status"], 302);
    assert_eq!(made.body["state"], "active");
    assert_eq!(made.body["created_at"], made.body["updated_at"]);
    let got = user.get(made.headers["location"].to_str().unwrap()).await;
    assert_eq!((got.status.as_u16(), got.body), (200, made.body));
}

#[tokio::test]
async fn a_link_has_what_its_owner_said_and_redirectors_know_at_once() {
    let app = TestApp::start().await;
    let user = app.user();
    let made = user
        .post(json!({
            "url": "https://example.com/", "code": "Spring_sale-1", "title": "Frühling",
            "state": "disabled", "valid_from": "2026-01-01T01:00:00+01:00",
            "valid_until": "2026-02-01T00:00:00.5Z", "fallback_url": "http://example.org/over",
            "redirect_status": 308,
        }))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["valid_from"], "2026-01-01T00:00:00Z");
    assert_eq!(made.body["valid_until"], "2026-02-01T00:00:00.5Z");
    // No waiting here: the answer came after the link table had it.
    let record = app.bucket().await.remove("Spring_sale-1").unwrap();
    assert_eq!(record.owner_id, user.id);
    assert_eq!(record.url, "https://example.com/");
    assert_eq!(
        record.fallback_url.as_deref(),
        Some("http://example.org/over")
    );
    assert_eq!(record.redirect_status, 308);
    assert_eq!(record.state, events::LinkState::Disabled);
    assert_eq!(record.valid_from_ms, Some(1_767_225_600_000));
    assert_eq!(record.valid_until_ms, Some(1_769_904_000_500));
    assert_eq!((record.version, record.max_clicks), (1, None));
}

#[tokio::test]
async fn a_code_belongs_to_the_first_who_takes_it_until_it_is_deleted() {
    let app = TestApp::start().await;
    let (ann, ben) = (app.user(), app.user());
    ann.link("mine", "https://example.com/ann").await;
    let first = app.bucket().await.remove("mine").unwrap();
    ben.post(json!({ "code": "mine", "url": "https://example.com/ben" }))
        .await
        .is_problem(409);
    ann.post(json!({ "code": "mine", "url": "https://example.com/ann" }))
        .await
        .is_problem(409);
    ben.link("Mine", "https://example.com/case-matters").await;

    assert_eq!(ann.delete("/shortener/links/mine").await.status, 204);
    assert!(!app.bucket().await.contains_key("mine"));
    ben.link("mine", "https://example.com/ben").await;
    let second = app.bucket().await.remove("mine").unwrap();
    assert_ne!(first.link_id, second.link_id);
    assert_eq!(second.version, 1);
}

#[tokio::test]
async fn a_change_is_partial_and_null_clears() {
    let app = TestApp::start().await;
    let user = app.user();
    user.post(json!({
        "code": "a", "url": "https://example.com/1", "title": "one",
        "fallback_url": "https://example.com/over", "valid_until": "2030-01-01T00:00:00Z",
    }))
    .await;
    let changed = user
        .patch(
            "a",
            json!({ "url": "https://example.com/2", "title": null, "valid_until": null }),
        )
        .await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.body["url"], "https://example.com/2");
    assert!(changed.body["title"].is_null() && changed.body["valid_until"].is_null());
    assert_eq!(changed.body["fallback_url"], "https://example.com/over");
    assert_ne!(changed.body["updated_at"], changed.body["created_at"]);
    let record = app.bucket().await.remove("a").unwrap();
    assert_eq!((record.version, record.valid_until_ms), (2, None));

    let same = user
        .patch("a", json!({ "url": "https://example.com/2" }))
        .await;
    assert_eq!(same.body, changed.body, "what changes nothing is no change");
    assert_eq!(user.patch("a", json!({})).await.body, changed.body);
    assert_eq!(app.bucket().await["a"].version, 2);
}

#[tokio::test]
async fn a_change_is_checked_together_with_what_is_there() {
    let app = TestApp::start().await;
    let user = app.user();
    user.post(json!({
        "code": "a", "url": "https://example.com/", "valid_from": "2026-06-01T00:00:00Z",
    }))
    .await;
    user.patch("a", json!({ "valid_until": "2026-05-01T00:00:00Z" }))
        .await
        .faults(&["valid_until"]);
    let clear = json!({ "valid_until": "2026-05-01T00:00:00Z", "valid_from": null });
    assert_eq!(user.patch("a", clear).await.status, 200);
    for field in ["url", "state", "redirect_status"] {
        user.patch("a", json!({ field: null }))
            .await
            .is_problem(422);
    }
    user.patch("a", json!({ "code": "b" }))
        .await
        .is_problem(422);
}

#[tokio::test]
async fn a_link_of_somebody_else_is_not_there() {
    let app = TestApp::start().await;
    let (ann, ben) = (app.user(), app.user());
    ann.link("mine", "https://example.com/").await;
    ben.get("/shortener/links/mine").await.is_problem(404);
    ben.patch("mine", json!({ "url": "https://example.org/" }))
        .await
        .is_problem(404);
    ben.delete("/shortener/links/mine").await.is_problem(404);
    assert!(ben.links().await.is_empty());
    assert_eq!(
        ben.delete("/shortener/links?all=true").await.body["deleted"],
        0
    );
    assert_eq!(ann.links().await["mine"], "https://example.com/");
    let missing = ben.get("/shortener/links/nothing").await;
    assert_eq!(
        missing.body,
        ben.get("/shortener/links/mine").await.body,
        "nobody learns which"
    );
}

#[tokio::test]
async fn all_links_go_only_when_all_are_meant() {
    let app = TestApp::start().await;
    let (ann, ben) = (app.user(), app.user());
    for number in 0..7 {
        ann.link(&format!("a{number}"), "https://example.com/")
            .await;
    }
    ben.link("b", "https://example.com/").await;
    for query in ["", "?all=false", "?all=1", "?all", "?all=TRUE", "?yes=true"] {
        ann.delete(&format!("/shortener/links{query}"))
            .await
            .is_problem(422);
    }
    assert_eq!(ann.links().await.len(), 7);
    let gone = ann.delete("/shortener/links?all=true").await;
    assert_eq!(
        (gone.status.as_u16(), gone.body),
        (200, json!({ "deleted": 7 }))
    );
    assert!(ann.links().await.is_empty());
    app.bucket_holds(&ben.links().await).await;
}

#[tokio::test]
async fn health_and_numbers_are_on_the_admin_listener() {
    let app = TestApp::start().await;
    app.user().link("a", "https://example.com/").await;
    let url = format!("{}/metrics", app.running().admin_url);
    let page = app.running().client().get(url).send().await.unwrap();
    let page = page.text().await.unwrap();
    for name in [
        "kurz_links ",
        "kurz_links_created_total ",
        "kurz_outbox_depth{",
    ] {
        assert!(page.contains(name), "{name} in {page}");
    }
    let ready = format!("{}/health/ready", app.running().admin_url);
    assert_eq!(
        app.running()
            .client()
            .get(ready)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}
