use chassis::testing::Folder;
use serde_json::Value;

use crate::process::{Kurz, client};

#[tokio::test]
async fn one_port_serves_everything() {
    let folder = Folder::new();
    let kurz = Kurz::start(folder.path()).await;
    let get = async |path: &str| {
        let answer = client()
            .get(format!("{}{path}", kurz.url))
            .send()
            .await
            .unwrap();
        let kind = answer.headers().get("content-type").cloned();
        let kind = kind
            .map(|kind| kind.to_str().unwrap().to_owned())
            .unwrap_or_default();
        (answer.status().as_u16(), kind)
    };
    for (path, status, kind) in [
        ("/", 200, "text/html"),
        ("/robots.txt", 200, "text/plain"),
        ("/docs/openapi.json", 200, "application/json"),
        ("/auth/.well-known/jwks.json", 200, "application/json"),
        ("/auth/openapi.json", 200, "application/json"),
        ("/shortener/openapi.json", 200, "application/json"),
        ("/analytics/openapi.json", 200, "application/json"),
        ("/auth/nowhere", 404, "application/problem+json"),
        ("/shortener/links", 401, "application/problem+json"),
        ("/analytics/summary", 401, "application/problem+json"),
        ("/nowhere", 404, "application/problem+json"),
        ("/deep/er", 404, "application/problem+json"),
    ] {
        let (found, found_kind) = get(path).await;
        assert_eq!(found, status, "{path}");
        assert!(found_kind.starts_with(kind), "{path}: {found_kind}");
    }
    let document = client()
        .get(format!("{}/docs/openapi.json", kurz.url))
        .send()
        .await
        .unwrap();
    let document: Value = document.json().await.unwrap();
    assert!(document["paths"]["/{code}"].is_object());
    assert!(kurz.terminate().success());
}
