use chassis::testing::Forged;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

#[tokio::test]
async fn urls_that_nobody_should_be_sent_to_are_refused() {
    let app = TestApp::start().await;
    let user = app.user();
    let long = format!("https://example.com/{}", "x".repeat(8_193 - 20));
    assert_eq!(long.len(), 8_193);
    for url in [
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "file:///etc/passwd",
        "ftp://example.com/",
        "https://user:password@example.com/",
        "https://user@example.com/",
        "http://kurz.test/abc",
        "http://KURZ.test:8080/abc",
        "https://kurz.test./abc",
        "https://k%75rz.test/",
        "//example.com",
        "example.com",
        "https://",
        "",
        "http://[::1",
        &long,
    ] {
        user.post(json!({ "url": url })).await.faults(&["url"]);
        user.post(json!({ "url": "https://example.com", "fallback_url": url }))
            .await
            .faults(&["fallback_url"]);
    }
    let longest = &long[..8_192];
    assert_eq!(user.post(json!({ "url": longest })).await.status, 201);
    user.link("ok", "https://example.com/").await;
    user.patch("ok", json!({ "url": "javascript:alert(1)" }))
        .await
        .faults(&["url"]);
}

#[tokio::test]
async fn codes_that_shadow_a_route_or_are_no_codes_are_refused() {
    let app = TestApp::start().await;
    let user = app.user();
    let long = "x".repeat(65);
    for code in [
        "auth",
        "Auth",
        "SHORTENER",
        "analytics",
        "docs",
        "health",
        "robots.txt",
        "favicon.ico",
        ".well-known",
        "",
        "a b",
        "a/b",
        "../a",
        "ä",
        "%41",
        "a.b",
        "*",
        ">",
        "a\u{0}",
        &long,
    ] {
        user.post(json!({ "url": "https://example.com/", "code": code }))
            .await
            .faults(&["code"]);
    }
    for path in [
        "%C3%A4",
        "a%2Fb",
        "%2e%2e%2fauth",
        "a%00b",
        "a.b",
        "%ff",
        &long,
        "%3E",
        "*",
    ] {
        user.get(&format!("/shortener/links/{path}"))
            .await
            .is_problem(404);
        user.delete(&format!("/shortener/links/{path}"))
            .await
            .is_problem(404);
    }
    assert_eq!(user.links().await.len(), 0);
    // A percent-encoded code is the same code.
    user.link("abc", "https://example.com/").await;
    assert_eq!(user.get("/shortener/links/%61bc").await.status, 200);
}

#[tokio::test]
async fn bodies_of_another_shape_are_refused() {
    let app = TestApp::start().await;
    let user = app.user();
    for body in [
        json!({}),
        json!([]),
        json!("https://example.com"),
        Value::Null,
        json!({ "url": 7 }),
        json!({ "url": null }),
        json!({ "url": ["https://example.com"] }),
        json!({ "url": "https://example.com", "max_clicks": 1 }),
        json!({ "url": "https://example.com", "owner_id": user.id }),
        json!({ "url": "https://example.com", "redirect_status": "302" }),
        json!({ "url": "https://example.com", "redirect_status": -1 }),
        json!({ "url": "https://example.com", "redirect_status": 99999 }),
        json!({ "url": "https://example.com", "state": "gone" }),
    ] {
        user.post(body).await.is_problem(422);
    }
    user.post(json!({
        "url": "ftp://a", "code": "a b", "title": "", "valid_from": "soon",
        "valid_until": "2026-02-30T00:00:00Z", "redirect_status": 303, "fallback_url": "x",
    }))
    .await
    .faults(&[
        "code",
        "fallback_url",
        "redirect_status",
        "title",
        "url",
        "valid_from",
        "valid_until",
    ]);
    user.post(json!({
        "url": "https://example.com", "valid_from": "2026-02-01T00:00:00Z",
        "valid_until": "2026-02-01T00:00:00Z",
    }))
    .await
    .faults(&["valid_until"]);
    assert!(user.links().await.is_empty());
}

#[tokio::test]
async fn bodies_that_are_no_json_or_too_large_are_refused() {
    let app = TestApp::start().await;
    let user = app.user();
    let post = |kind: &'static str, body: Vec<u8>| {
        let url = format!("{}/shortener/links", app.running().url);
        let request = app.running().client().post(url).bearer_auth(&user.token);
        Answer::of(request.header("content-type", kind).body(body))
    };
    for body in ["", "{", "{\"url\":}", "\u{feff}{}", "{} {}", "NaN"] {
        post("application/json", body.into()).await.is_problem(400);
    }
    post("application/json", b"{\"url\": \"\xff\xfe\"}".to_vec())
        .await
        .is_problem(400);
    // Nested deep enough to exhaust a naive parser's stack.
    post("application/json", "[".repeat(60_000).into())
        .await
        .is_problem(400);
    post("text/plain", b"{\"url\": \"https://example.com\"}".to_vec())
        .await
        .is_problem(415);
    let padded = format!(
        "{{\"url\": \"https://example.com/{}\"}}",
        "x".repeat(70_000)
    );
    post("application/json", padded.into())
        .await
        .is_problem(413);
}

#[tokio::test]
async fn ten_megabytes_are_not_read() {
    let app = TestApp::start().await;
    let user = app.user();
    let request = app
        .running()
        .client()
        .post(format!("{}/shortener/links", app.running().url))
        .bearer_auth(&user.token)
        .header("content-type", "application/json")
        .body(vec![b' '; 10 * 1024 * 1024]);
    // Either the refusal comes through, or the connection is cut while we still send.
    if let Ok(response) = request.send().await {
        assert_eq!(response.status(), 413);
    }
    assert_eq!(user.get("/shortener/links").await.status, 200);
}

#[tokio::test]
async fn forged_tokens_are_refused_everywhere() {
    let app = TestApp::start().await;
    let user = app.user();
    user.link("mine", "https://example.com/").await;
    let mut tokens: Vec<String> = Forged::ALL
        .iter()
        .map(|how| app.issuer.forged(user.id, *how))
        .collect();
    tokens.extend(["", "x", "a.b.c", "....", &"x".repeat(20_000)].map(ToOwned::to_owned));
    let client = app.running().client();
    for token in &tokens {
        for (method, path) in [
            (Method::GET, "/shortener/links"),
            (Method::POST, "/shortener/links"),
            (Method::DELETE, "/shortener/links?all=true"),
            (Method::GET, "/shortener/links/mine"),
            (Method::PATCH, "/shortener/links/mine"),
            (Method::DELETE, "/shortener/links/mine"),
        ] {
            let url = format!("{}{path}", app.running().url);
            let answer = Answer::of(client.request(method, url).bearer_auth(token)).await;
            answer.is_problem(401);
            assert!(
                answer.headers.contains_key("www-authenticate"),
                "{answer:?}"
            );
        }
    }
    let url = format!("{}/shortener/links", app.running().url);
    Answer::of(client.get(&url)).await.is_problem(401);
    Answer::of(client.get(&url).basic_auth("a", Some("b")))
        .await
        .is_problem(401);
    assert_eq!(user.links().await.len(), 1);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_as_problems() {
    let app = TestApp::start().await;
    let client = app.running().client();
    let url = |path: &str| format!("{}{path}", app.running().url);
    Answer::of(client.get(url("/shortener/nothing")))
        .await
        .is_problem(404);
    let wrong = Answer::of(client.put(url("/shortener/links"))).await;
    wrong.is_problem(405);
    assert!(wrong.headers.contains_key("allow"));
}
