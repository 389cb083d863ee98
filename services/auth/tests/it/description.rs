//! What the service says of itself.

use reqwest::Method;
use serde_json::Value;

use crate::support::TestApp;

#[tokio::test]
async fn the_served_description_is_the_one_of_the_library() {
    let app = TestApp::start().await;
    let served = app
        .send(Method::GET, "/auth/openapi.json", None, None)
        .await;
    assert_eq!(served.status, 200);
    assert_eq!(served.body, serde_json::to_value(auth::openapi()).unwrap());
}

#[test]
fn every_operation_has_examples_and_every_refusal_is_a_problem() {
    let document = serde_json::to_value(auth::openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(
        document["components"]["securitySchemes"]["access_token"]["scheme"],
        "bearer"
    );
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 8);
    for (path, methods) in paths {
        assert!(path.starts_with("/auth/"), "{path}");
        for (method, operation) in methods.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(
                operation["summary"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{name}"
            );
            assert!(operation["operationId"].is_string(), "{name}");
            if let Some(body) = operation.get("requestBody") {
                assert!(has_example(&body["content"]["application/json"]), "{name}");
                assert_eq!(body["required"], true, "{name}");
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                let Some(content) = response.get("content") else {
                    assert_eq!(status, "204", "{name}");
                    continue;
                };
                let refusal = status.starts_with(['4', '5']);
                let media = if refusal {
                    "application/problem+json"
                } else {
                    "application/json"
                };
                assert!(has_example(&content[media]), "{name} {status}: {content}");
            }
        }
    }
}

fn has_example(media: &Value) -> bool {
    media.get("example").is_some() || media.get("examples").is_some()
}
