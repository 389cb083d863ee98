use serde_json::Value;

use crate::support::{Answer, TestApp};

#[tokio::test]
async fn the_documentation_can_be_browsed_without_foreign_files() {
    let app = TestApp::start().await;
    let client = app.running().client();
    let base = &app.running().url;
    let moved = client.get(format!("{base}/docs")).send().await.unwrap();
    assert!(moved.status().is_redirection());
    let page = client.get(format!("{base}/docs/")).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    let html = page.text().await.unwrap();
    assert!(
        !html.contains("http://") && !html.contains("https://"),
        "{html}"
    );
    // Each script and style of the page is ours, and no script stands in the page itself.
    for part in html.split("src=\"").chain(html.split("href=\"")).skip(1) {
        let name = part.split('"').next().unwrap().trim_start_matches("./");
        if [".js", ".css"].iter().any(|end| name.ends_with(end)) {
            let file = client
                .get(format!("{base}/docs/{name}"))
                .send()
                .await
                .unwrap();
            assert_eq!(file.status(), 200, "{name}");
        }
    }
    for script in html.split("<script").skip(1) {
        assert!(
            script.split('>').next().unwrap().contains("src="),
            "{script}"
        );
    }
    let settings = client
        .get(format!("{base}/docs/swagger-initializer.js"))
        .send()
        .await
        .unwrap();
    assert!(
        settings
            .text()
            .await
            .unwrap()
            .contains("/docs/openapi.json")
    );
    let merged = Answer::of(client.get(format!("{base}/docs/openapi.json"))).await;
    assert!(merged.body["openapi"].as_str().unwrap().starts_with("3.1"));
    Answer::of(client.get(format!("{base}/docs/no-such-file")))
        .await
        .is_problem(404);
    Answer::of(client.post(format!("{base}/docs/openapi.json")))
        .await
        .is_problem(405);
}

#[tokio::test]
async fn the_api_describes_itself() {
    let app = TestApp::start().await;
    let url = format!("{}/shortener/openapi.json", app.running().url);
    let document = Answer::of(app.running().client().get(url)).await.body;
    let own = serde_json::to_value(shortener::openapi()).unwrap();
    assert_eq!(document["paths"], own["paths"]);
    for path in ["/shortener/links", "/shortener/links/{code}"] {
        for (method, operation) in document["paths"][path].as_object().unwrap() {
            if ["get", "post", "patch", "delete"].contains(&method.as_str()) {
                described(&format!("{method} {path}"), operation);
            }
        }
    }
}

/// Every operation has words, every answer with a body has an example.
fn described(name: &str, operation: &Value) {
    assert!(
        operation["description"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{name}"
    );
    let responses = operation["responses"].as_object().unwrap();
    for status in ["401", "422", "500"] {
        assert!(responses.contains_key(status), "{name} {status}");
    }
    for (status, response) in responses {
        for (kind, content) in response["content"].as_object().into_iter().flatten() {
            let example = content.get("example").is_some() || content.get("examples").is_some();
            let of_schema = content["schema"]["$ref"].as_str().is_some();
            assert!(example || of_schema, "{name} {status} {kind}: {content}");
        }
    }
}
