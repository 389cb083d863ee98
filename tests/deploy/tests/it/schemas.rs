//! Every object is one that the API takes as it is: a field that its schema does not have is refused, not ignored.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use chassis::testing::Folder;
use serde_json::{Map, Value, json};

use crate::rendering::{RENDERINGS, Rendering, list, rendering, text, tool};

/// The schemas of the custom resources that are rendered, as files for kubeconform.
static DEFINED: LazyLock<Folder> = LazyLock::new(write_schemas);

/// What stands between two objects.
const BETWEEN: &str = "\n---\n";

#[test]
fn every_object_is_valid() {
    // Most are the same in every rendering.
    let objects: BTreeSet<&str> = RENDERINGS
        .iter()
        .flat_map(|rendering| documents(&rendering.yaml))
        .collect();
    let objects: Vec<_> = objects.into_iter().collect();
    if let Err(faults) = validate(&objects.join(BETWEEN)) {
        panic!("{faults}");
    }
}

#[test]
fn what_the_api_would_refuse_or_ignore_is_seen() {
    for (of, right, wrong) in [
        ("production", "fsGroup:", "fsgroup:"),
        (
            "production",
            "terminationGracePeriodSeconds: 45",
            "terminationGracePeriodSeconds: long",
        ),
        ("production", "policyTypes:", "policyType:"),
        ("production", "http01:", "http02:"),
        ("production", "kind: NetworkPolicy", "kind: NetworkPolice"),
        ("local", "isCA: true", "isCA: maybe"),
        ("local", "issuerRef:", "issuer:"),
        ("gateway-api", "gatewayClassName:", "gatewayClass:"),
        ("gateway-api", "type: PathPrefix", "type: Prefix"),
    ] {
        let object = documents(&rendering(of).yaml).find(|object| object.contains(right));
        let broken = object
            .unwrap_or_else(|| panic!("{of} has no {right}"))
            .replacen(right, wrong, 1);
        assert!(validate(&broken).is_err(), "{of}: {wrong} is not seen");
    }
}

fn documents(yaml: &str) -> impl Iterator<Item = &str> {
    yaml.split(BETWEEN)
}

fn validate(yaml: &str) -> Result<(), String> {
    let core = format!(
        "{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        tool("kubernetes").display()
    );
    let defined = format!(
        "{}/{{{{.Group}}}}_{{{{.ResourceKind}}}}_{{{{.ResourceAPIVersion}}}}.json",
        DEFINED.path().display()
    );
    let mut child = Command::new(tool("kubeconform"))
        .args([
            "-strict",
            "-schema-location",
            &core,
            "-schema-location",
            &defined,
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(yaml.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The schemas of all custom resources of all renderings. Large files: those that nobody needs stay unread.
fn write_schemas() -> Folder {
    let kinds = RENDERINGS
        .iter()
        .flat_map(|rendering: &Rendering| rendering.objects.iter());
    let kinds = kinds.filter_map(|object| {
        Some((
            text(&object["apiVersion"]).split_once('/')?.0,
            text(&object["kind"]),
        ))
    });
    let kinds: BTreeSet<_> = kinds.collect();
    let folder = Folder::new();
    for entry in fs::read_dir(tool("definitions")).unwrap() {
        let path = entry.unwrap().path();
        let group = path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .split('_')
            .next()
            .unwrap();
        if !kinds.iter().any(|(needed, _)| *needed == group) {
            continue;
        }
        let yaml = fs::read_to_string(&path).unwrap();
        if !kinds.iter().any(|(needed, kind)| {
            *needed == group && yaml.contains(&format!("\n    kind: {kind}\n"))
        }) {
            continue;
        }
        let definition: Value = serde_saphyr::from_str(&yaml).unwrap();
        let kind = text(&definition["spec"]["names"]["kind"]).to_lowercase();
        for version in list(&definition["spec"]["versions"]) {
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            close(&mut schema);
            // The API server knows what metadata is; a definition says only that it is an object.
            schema["properties"]["metadata"] = json!({ "type": "object" });
            let name = format!("{group}_{kind}_{}.json", text(&version["name"]));
            fs::write(folder.path().join(name), schema.to_string()).unwrap();
        }
    }
    folder
}

/// Refuses unknown fields wherever a schema does not say that there may be some.
fn close(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    if fields.contains_key("properties")
        && !fields.contains_key("additionalProperties")
        && fields.get("x-kubernetes-preserve-unknown-fields") != Some(&json!(true))
    {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        Map::values_mut(properties).for_each(close);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(inner) {
            close(inner);
        }
    }
}
