//! Whatever is sent is answered with a problem.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use chassis::testing::Forged;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::{Link, NOW, TestApp, User};

const PATHS: [&str; 8] = [
    "/summary",
    "/links",
    "/links/docs",
    "/links/docs/series",
    "/links/docs/breakdown/kind",
    "/links/docs/stream",
    "/stream",
    "/stream?ticket=",
];

async fn refused(app: &TestApp, user: &User, path: &str, expected: StatusCode) -> Value {
    let response = app.request(user, path).send().await.unwrap();
    assert_eq!(response.status(), expected, "{path}");
    let media_type = response
        .headers()
        .get("content-type")
        .map(|it| it.to_str().unwrap());
    assert_eq!(media_type, Some("application/problem+json"), "{path}");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], expected.as_u16(), "{path}");
    body
}

#[tokio::test]
async fn tokens_that_are_no_good_open_nothing() {
    let app = TestApp::start().await;
    let alice = app.user();
    app.spool()
        .publish(vec![Link::new(&alice, "docs").click(NOW)])
        .await;
    app.counted(&alice, 1).await;
    let mut tokens = vec![String::new(), "x".into(), "a.b.c".into(), "é".repeat(3)];
    tokens.extend(Forged::ALL.map(|how| app.issuer.forged(alice.id, how)));
    for token in tokens {
        let nobody = User {
            token,
            ..alice.clone()
        };
        for path in PATHS {
            let response = app.request(&nobody, path).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
        }
    }
    let url = format!("{}/analytics/stream/tickets", app.running.url);
    let response = app.running.client().post(url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_named() {
    let app = TestApp::start().await;
    let alice = app.user();
    app.spool()
        .publish(vec![Link::new(&alice, "docs").click(NOW)])
        .await;
    app.counted(&alice, 1).await;
    let many = vec!["a"; 101].join(",");
    let codes = format!("/links?codes={many}");
    for (path, field) in [
        ("/links?limit=0", "limit"),
        ("/links?limit=101", "limit"),
        ("/links?limit=-1", "query"),
        ("/links?limit=1e3", "query"),
        ("/links?limit=99999999999999999999", "query"),
        ("/links?limit=1&limit=2", "query"),
        ("/links?sort=code", "query"),
        ("/links?cursor=x", "cursor"),
        ("/links?cursor=%00", "cursor"),
        ("/links?codes=", "codes"),
        ("/links?codes=a,,b", "codes"),
        ("/links?codes=a&limit=2", "codes"),
        (&codes, "codes"),
        ("/links/docs/series?interval=minute", "interval"),
        (
            "/links/docs/series?interval=hour&from=2000-01-01",
            "interval",
        ),
        ("/links/docs/series?from=yesterday", "from"),
        ("/links/docs/series?from=-009999-01-01T00:00:00Z", "from"),
        ("/links/docs/series?to=9999-12-31T23:59:59Z", "to"),
        ("/links/docs/series?from=2025-02-01&to=2025-01-01", "from"),
        ("/links/docs/series?timezone=Mars/Olympus", "timezone"),
        ("/links/docs/series?timezone=../../etc/passwd", "timezone"),
        ("/links/docs/series?form=2025-01-01", "query"),
        ("/links/docs/breakdown/referrer?cursor=LTE6YQ", "cursor"),
        (
            "/links/docs/breakdown/referrer?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk6YQ",
            "cursor",
        ),
        ("/stream?kind=robot", "kind"),
        ("/stream?country=germany", "country"),
        ("/stream?last_event_id=1", "last_event_id"),
        (
            "/stream?last_event_id=18446744073709551616-0",
            "last_event_id",
        ),
        ("/links/docs/stream?kind=", "kind"),
    ] {
        let body = refused(&app, &alice, path, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(body["errors"][0]["field"], field, "{path}: {body}");
    }
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_not_found() {
    let app = TestApp::start().await;
    let alice = app.user();
    app.spool()
        .publish(vec![Link::new(&alice, "docs").click(NOW)])
        .await;
    app.counted(&alice, 1).await;
    let long = format!("/links/{}", "a".repeat(65));
    for path in [
        "",
        "/",
        "/links/",
        "/links/%00",
        "/links/%ff",
        "/links/d%C3%B6cs",
        "/links/docs%2f..",
        "/links/'%20OR%201=1--",
        "/links/docs/breakdown/visitor",
        "/links/docs/breakdown/%ff",
        "/links/docs/nothing",
        "/feedback",
        &long,
    ] {
        refused(&app, &alice, path, StatusCode::NOT_FOUND).await;
    }
    for (method, path) in [
        (Method::POST, "/summary"),
        (Method::DELETE, "/links/docs"),
        (Method::GET, "/stream/tickets"),
        (Method::PUT, "/stream"),
    ] {
        let url = format!("{}/analytics{path}", app.running.url);
        let request = app
            .running
            .client()
            .request(method, url)
            .bearer_auth(&alice.token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
    }
}

#[tokio::test]
async fn a_last_event_id_of_any_bytes_breaks_nothing() {
    let app = TestApp::start().await;
    let alice = app.user();
    for id in [&b"\xff\xfe"[..], b"x", b"1-2-3", b"-", &[b'9'; 5_000]] {
        let request = app.request(&alice, "/stream").header("Last-Event-ID", id);
        let status = request.send().await.unwrap().status();
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    // An id that can be, however far, is answered.
    for id in [
        "0-0",
        "18446744073709551615-4294967295",
        "18446744073709551615-0",
    ] {
        let mut stream = app.watch(&alice, "/stream", Some(id)).await.opened().await;
        if id != "0-0" {
            assert_eq!(stream.next().await.unwrap().name, "gap", "{id}");
        }
    }
}

#[test]
fn every_operation_is_described() {
    let document = serde_json::to_value(analytics::openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 9);
    for (path, item) in paths {
        assert!(path.starts_with("/analytics/"), "{path}");
        for operation in item.as_object().unwrap().values() {
            assert!(
                operation["description"].is_string(),
                "{path} has no description"
            );
            assert!(
                operation["responses"]["401"].is_object(),
                "{path} does not say 401"
            );
            if path.contains('{') {
                assert!(
                    operation["responses"]["404"].is_object(),
                    "{path} does not say 404"
                );
            }
            let takes = |place: &str| {
                let parameters = operation["parameters"].as_array();
                parameters.is_some_and(|all| all.iter().any(|one| one["in"] == place))
            };
            assert_eq!(
                takes("query") || operation["requestBody"].is_object(),
                operation["responses"]["422"].is_object(),
                "{path}"
            );
        }
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        assert!(schemas.contains_key(name), "{name} is not described");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field) {
                    ("$ref", Value::String(reference)) => references.push(reference.clone()),
                    _ => collect(field, references),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
