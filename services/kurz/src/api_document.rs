use utoipa::openapi::{Info, OpenApi};

/// The description of the whole API as committed in `docs/openapi.json`: the services' own
/// descriptions in one document.
///
/// # Panics
/// Never: plain data always encodes.
pub fn api_document() -> String {
    let mut info = Info::new("kurz", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "A self-hosted URL shortener in which every answered redirect is counted exactly once. \
         Refusals are problems (RFC 9457)."
            .to_owned(),
    );
    let mut whole = OpenApi::default();
    for part in [
        auth::openapi(),
        shortener::openapi(),
        analytics::openapi(),
        redirector::openapi(),
    ] {
        whole.merge(part);
    }
    whole.info = info;
    let mut text = serde_json::to_string_pretty(&whole).expect("plain data always encodes");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_committed_document_is_the_code() {
        let committed = include_str!("../../../docs/openapi.json");
        assert!(
            committed == api_document(),
            "docs/openapi.json differs from the code: run `cargo run -p kurz -- openapi > \
             docs/openapi.json`, and look at the difference"
        );
    }

    #[test]
    fn every_operation_has_an_example_and_a_refusal() {
        let document: Value = serde_json::from_str(&api_document()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let name = format!("{method} {path}");
                assert!(operation["summary"].is_string(), "{name} has no summary");
                assert!(
                    operation.to_string().contains("\"example"),
                    "{name} has no example"
                );
            }
        }
    }

    #[test]
    fn no_two_services_use_one_name_for_two_schemas() {
        let parts = [
            auth::openapi(),
            shortener::openapi(),
            analytics::openapi(),
            redirector::openapi(),
        ];
        let parts = parts.map(|part| serde_json::to_value(part).unwrap());
        for (number, part) in parts.iter().enumerate() {
            let Some(schemas) = part["components"]["schemas"].as_object() else {
                continue;
            };
            for other in &parts[number + 1..] {
                for (name, schema) in schemas {
                    let twin = &other["components"]["schemas"][name];
                    assert!(twin.is_null() || twin == schema, "{name} is two schemas");
                }
            }
        }
    }
}
