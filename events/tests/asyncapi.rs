//! `docs/asyncapi.yaml` describes exactly the subjects and the fields that the code has.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use events::{
    AccountClosed, Click, ClickBatch, Hints, LinkRecord, LinkState, Partition, SpoolReport,
    SpoolState, streams, subjects,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use uuid::Uuid;

fn document() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/asyncapi.yaml");
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn click() -> Click {
    Click {
        link_id: Uuid::nil(),
        owner_id: Uuid::nil(),
        code: "rust".into(),
        at_ms: 0,
        hints: Hints::NONE,
        referrer: "example.org".into(),
        user_agent: "Mozilla/5.0".into(),
        language: "de".into(),
        country: Some("DE".into()),
        visitor: 1,
    }
}

fn link(state: LinkState) -> LinkRecord {
    LinkRecord {
        link_id: Uuid::nil(),
        owner_id: Uuid::nil(),
        code: "rust".into(),
        url: "https://www.rust-lang.org/".into(),
        version: 1,
        state,
        valid_from_ms: Some(0),
        valid_until_ms: Some(0),
        max_clicks: Some(1),
        fallback_url: Some("https://example.org/".into()),
        redirect_status: 302,
    }
}

fn report(state: SpoolState) -> SpoolReport {
    SpoolReport {
        spool: Uuid::nil(),
        partition: 0,
        appended: 2,
        acknowledged: 1,
        at_ms: 0,
        state,
        partitions: 3,
    }
}

/// Whether `subject` is an instance of `address`, token by token (`{x}` is any token).
fn is_instance(subject: &str, address: &str) -> bool {
    let subject: Vec<&str> = subject.split('.').collect();
    let address: Vec<&str> = address.split('.').collect();
    subject.len() == address.len()
        && subject
            .iter()
            .zip(&address)
            .all(|(have, want)| want.starts_with('{') || have == want)
}

/// Whether the stream pattern `pattern` takes every subject of `address`.
fn takes(pattern: &str, address: &str) -> bool {
    match pattern.strip_suffix('>') {
        Some(prefix) => address.starts_with(prefix),
        None => is_instance(address, &pattern.replace('*', "{any}")),
    }
}

fn names(values: &Value) -> BTreeSet<String> {
    match values {
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Array(list) => list
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect(),
        other => panic!("neither names nor fields: {other}"),
    }
}

/// The schema has the record's fields and no others, and requires those without which it is refused.
fn describes<T: DeserializeOwned>(schema: &Value, record: &Value) {
    let fields = names(record);
    assert_eq!(names(&schema["properties"]), fields, "the fields");
    let needed: BTreeSet<String> = fields
        .into_iter()
        .filter(|field| {
            let mut without = record.clone();
            without.as_object_mut().unwrap().remove(field);
            serde_json::from_value::<T>(without).is_err()
        })
        .collect();
    assert_eq!(names(&schema["required"]), needed, "the required fields");
}

#[test]
fn every_subject_is_described_and_stored_by_a_stream() {
    let document = document();
    let addresses: Vec<&str> = document["channels"]
        .as_object()
        .unwrap()
        .values()
        .map(|channel| channel["address"].as_str().unwrap())
        .collect();
    let subjects = [
        subjects::clicks(Partition::WHOLE, Uuid::nil()),
        subjects::link("rust"),
        subjects::account_closed(Uuid::nil()),
        subjects::dead("CLICKS"),
        subjects::spool(Uuid::nil()),
        subjects::feed(Partition::WHOLE, Uuid::nil(), "rust"),
        subjects::feed(Partition::new(1, 3).unwrap(), Uuid::nil(), "rust"),
    ];
    for subject in &subjects {
        let described = addresses
            .iter()
            .filter(|address| is_instance(subject, address))
            .count();
        assert_eq!(described, 1, "{subject} is described once");
    }
    assert_eq!(addresses.len(), subjects.len(), "nothing else is described");
    for address in addresses {
        let patterns = streams::ALL.iter().flat_map(|stream| stream.subjects);
        let stored = patterns.filter(|pattern| takes(pattern, address)).count();
        assert_eq!(stored, 1, "{address} is stored by one stream");
    }
}

#[test]
fn every_stream_is_named() {
    let channels = document()["channels"].to_string();
    for stream in streams::ALL {
        assert!(
            channels.contains(&format!("`{}`", stream.name)),
            "{} is not named",
            stream.name
        );
    }
}

#[test]
fn every_parameter_of_an_address_is_described() {
    for (name, channel) in document()["channels"].as_object().unwrap() {
        let address = channel["address"].as_str().unwrap();
        let in_address: BTreeSet<String> = address
            .split('.')
            .filter_map(|token| token.strip_prefix('{')?.strip_suffix('}'))
            .map(str::to_owned)
            .collect();
        assert_eq!(names(&channel["parameters"]), in_address, "{name}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, document: &Value) {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(
                document.pointer(pointer).is_some(),
                "{reference} leads nowhere"
            );
        }
        match value {
            Value::Object(map) => map.values().for_each(|inner| walk(inner, document)),
            Value::Array(list) => list.iter().for_each(|inner| walk(inner, document)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

#[test]
fn records_have_exactly_the_described_fields() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let batch = ClickBatch {
        spool: Uuid::nil(),
        first: 0,
        clicks: vec![click()],
    };
    let bytes = batch.encode();
    #[expect(clippy::zero_sized_map_values, reason = "a map is read, for its names")]
    let written: BTreeMap<String, IgnoredAny> = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(
        names(&schemas["ClickBatch"]["properties"]),
        written.into_keys().collect(),
        "the fields of a batch"
    );
    describes::<LinkRecord>(&schemas["LinkRecord"], &json!(link(LinkState::Active)));
    let closed = AccountClosed {
        user_id: Uuid::nil(),
        at_ms: 0,
    };
    describes::<AccountClosed>(&schemas["AccountClosed"], &json!(closed));
    describes::<SpoolReport>(&schemas["SpoolReport"], &json!(report(SpoolState::Open)));
}

#[test]
fn both_states_of_a_spool_are_described() {
    let states: BTreeSet<String> = [SpoolState::Open, SpoolState::Retired]
        .map(|state| json!(report(state))["state"].as_str().unwrap().to_owned())
        .into();
    assert_eq!(
        names(&document()["components"]["schemas"]["SpoolReport"]["properties"]["state"]["enum"]),
        states
    );
}

#[test]
fn both_states_of_a_link_are_described() {
    let states: BTreeSet<String> = [LinkState::Active, LinkState::Disabled]
        .map(|state| json!(link(state))["state"].as_str().unwrap().to_owned())
        .into();
    assert_eq!(
        names(&document()["components"]["schemas"]["LinkRecord"]["properties"]["state"]["enum"]),
        states
    );
}

#[test]
fn a_click_has_exactly_the_described_fields_in_their_order() {
    let fields = json!(click()).as_array().unwrap().clone();
    let described: Vec<String> = document()["components"]["schemas"]["Click"]["prefixItems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["title"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(described.len(), fields.len());
    // A click that is cut short names the field that is missing.
    for (present, name) in described.iter().enumerate() {
        let cut = Value::Array(fields[..present].to_vec());
        let error = serde_json::from_value::<Click>(cut)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("`{name}`")),
            "field {present} is {name}, not: {error}"
        );
    }
}

#[test]
fn the_bounds_of_a_click_are_those_of_the_code() {
    let document = document();
    let fields = document["components"]["schemas"]["Click"]["prefixItems"]
        .as_array()
        .unwrap();
    let bound = |name: &str| {
        fields.iter().find(|field| field["title"] == name).unwrap()["maxLength"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(bound("referrer"), events::click::MAX_REFERRER as u64);
    assert_eq!(bound("user_agent"), events::click::MAX_USER_AGENT as u64);
    assert_eq!(bound("language"), events::click::MAX_LANGUAGE as u64);
}
