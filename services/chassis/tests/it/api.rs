use chassis::client_address::TrustedProxies;
use chassis::clock::Clock;
use chassis::testing::{Issuer, NatsServer, Running};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::Echo;

async fn start() -> (NatsServer, Issuer, Running<Echo>) {
    let nats = NatsServer::start().await;
    let issuer = Issuer::start().await;
    let running = Running::start(issuer.jwks_url(), &nats, Clock::system()).await;
    (nats, issuer, running)
}

/// The status and the problem; fails unless the answer is a problem that says its own status.
async fn refused(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["status"], status.as_u16());
    (status, problem)
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let (_nats, _issuer, echo) = start().await;
    let client = echo.client();
    let url = |path: &str| format!("{}/echo{path}", echo.url);
    let post = || {
        client
            .post(url("/double"))
            .header("content-type", "application/json")
    };

    assert_eq!(refused(client.get(url("/nowhere"))).await.0, 404);
    assert_eq!(refused(client.get(url(""))).await.0, 404);
    assert_eq!(refused(client.put(url("/me"))).await.0, 405);
    let invented = Method::from_bytes(b"BREW").unwrap();
    assert_eq!(refused(client.request(invented, url("/me"))).await.0, 405);
    assert_eq!(refused(client.post(url("/double")).body("{}")).await.0, 415);
    assert_eq!(refused(post().body("{\"number\": ")).await.0, 400);
    assert_eq!(refused(post().body("{\"number\": null}")).await.0, 422);
    assert_eq!(
        refused(post().body("{\"number\": 1, \"other\": 2}"))
            .await
            .0,
        422
    );
    assert_eq!(refused(post().body(vec![b' '; 10_000_000])).await.0, 413);
    assert_eq!(refused(client.get(url("/items/x?number=1"))).await.0, 404);
    assert_eq!(refused(client.get(url("/items/1?number=x"))).await.0, 422);
    let (status, problem) = refused(client.get(url("/panics"))).await;
    assert_eq!(status, 500);
    assert!(
        !problem["detail"].as_str().unwrap().contains("ours."),
        "{problem}"
    );
}

#[tokio::test]
async fn a_request_keeps_a_sane_id_and_gets_one_otherwise() {
    let (_nats, _issuer, echo) = start().await;
    let url = format!("{}/echo/address", echo.url);
    let get = |id: &str| {
        echo.client()
            .get(&url)
            .header("x-request-id", id.to_owned())
            .send()
    };
    assert_eq!(
        get("abc-1").await.unwrap().headers()["x-request-id"],
        "abc-1"
    );
    let long = get(&"x".repeat(65)).await.unwrap();
    assert_eq!(long.headers()["x-request-id"].len(), 36);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let (_nats, _issuer, echo) = start().await;
    for _ in 0..3 {
        echo.client()
            .get(format!("{}/echo/items/7?number=7", echo.url))
            .send()
            .await
            .unwrap();
    }
    let metrics = echo
        .client()
        .get(format!("{}/metrics", echo.admin_url))
        .send();
    let metrics = metrics.await.unwrap().text().await.unwrap();
    let line = r#"kurz_http_requests_total{method="GET",route="/echo/items/{id}",status="200"}"#;
    assert!(metrics.contains(line), "{metrics}");
    assert!(metrics.contains("kurz_http_request_seconds_bucket"));
}

#[tokio::test]
async fn the_description_has_the_prefix() {
    let (_nats, _issuer, echo) = start().await;
    let document: Value = echo
        .client()
        .get(format!("{}/echo/openapi.json", echo.url))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/echo/items/{id}"]["get"].is_object());
}

#[tokio::test]
async fn the_client_address_is_believed_of_trusted_proxies_only() {
    let nats = NatsServer::start().await;
    let issuer = Issuer::start().await;
    for (trusted, expected) in [("127.0.0.0/8", "203.0.113.7"), ("10.0.0.0/8", "127.0.0.1")] {
        let trusted: TrustedProxies = trusted.parse().unwrap();
        let jwks = issuer.jwks_url();
        let nats_url = nats.url();
        let echo = Running::<Echo>::try_start(jwks, &nats_url, Clock::system(), trusted);
        let echo = echo.await.unwrap();
        let request = echo.client().get(format!("{}/echo/address", echo.url));
        let answer = request
            .header("x-forwarded-for", "9.9.9.9, 203.0.113.7")
            .send()
            .await;
        assert_eq!(answer.unwrap().text().await.unwrap(), expected);
    }
}
