//! compose.yaml: the same rules as in a cluster, as far as there is a word for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::rendering::{list, repository, text};
use crate::rule::{Faults, expect, set};
use crate::settings::{SERVICES, accepts, reads, required};

/// The file, without any variable of the user's.
static COMPOSE: LazyLock<Value> = LazyLock::new(|| {
    let yaml = fs::read_to_string(repository().join("compose.yaml")).unwrap();
    let mut compose = serde_saphyr::from_str(&yaml).unwrap();
    interpolate(&mut compose);
    compose
});

/// The services that bring more than kurz are in a file of their own.
const OWN: [&str; 7] = [
    "secrets",
    "nats",
    "auth",
    "shortener",
    "redirector",
    "analytics",
    "traefik",
];

/// How long open requests and workers may take to end, in seconds.
const STOP: u64 = 10 + 20;

/// The rule holds, and sees each of these changes.
fn rule(check: fn(&Value) -> Faults, edits: &[(&str, Value)]) {
    let faults = check(&COMPOSE);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    for (place, value) in edits {
        let mut changed = COMPOSE.clone();
        set(&mut changed, place, value.clone());
        assert!(
            !check(&changed).is_empty(),
            "does not see {place} changed to {value}"
        );
    }
}

fn of_services(compose: &Value, check: impl Fn(&str, &Value, &mut Faults)) -> Faults {
    let services = compose["services"].as_object().into_iter().flatten();
    let each = services.flat_map(|(name, service)| {
        let mut faults = Faults::new();
        check(name, service, &mut faults);
        faults
            .into_iter()
            .map(move |fault| format!("{name}: {fault}"))
    });
    each.collect()
}

#[test]
fn all_services_are_there_and_compose_understands_them() {
    for service in OWN {
        assert!(!COMPOSE["services"][service].is_null(), "{service}");
    }
    let mut docker = Command::new("docker");
    docker
        .arg("compose")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .current_dir(repository());
    let has_compose = Command::new("docker")
        .args(["compose", "version"])
        .output()
        .is_ok_and(|run| run.status.success());
    if has_compose {
        let run = docker.args(["config", "--quiet"]).output().unwrap();
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
    }
}

#[test]
fn containers_have_no_rights_that_they_do_not_need() {
    let check = |compose: &Value| {
        of_services(compose, |_, service, faults| {
            expect(service["user"] == "10001:10001", faults, "another user");
            expect(
                service["read_only"] == true,
                faults,
                "it can write into its image",
            );
            expect(
                service["cap_drop"] == json!(["ALL"]) && service["cap_add"].is_null(),
                faults,
                "it keeps capabilities",
            );
            let options = list(&service["security_opt"]);
            expect(
                options == [json!("no-new-privileges:true")],
                faults,
                "privileges may escalate",
            );
            for field in ["privileged", "pid", "ipc", "devices"] {
                expect(service[field].is_null(), faults, field);
            }
            let network = text(&service["network_mode"]);
            expect(
                ["", "none"].contains(&network),
                faults,
                "it has another network",
            );
        })
    };
    rule(
        check,
        &[
            ("/services/auth/user", Value::Null),
            ("/services/auth/read_only", json!(false)),
            ("/services/nats/cap_drop", Value::Null),
            ("/services/traefik/cap_add", json!(["NET_BIND_SERVICE"])),
            ("/services/secrets/security_opt", Value::Null),
            ("/services/auth/privileged", json!(true)),
            ("/services/auth/network_mode", json!("host")),
        ],
    );
}

#[test]
fn containers_are_limited() {
    let check = |compose: &Value| {
        of_services(compose, |name, service, faults| {
            for field in ["mem_limit", "cpus", "pids_limit"] {
                expect(!service[field].is_null(), faults, format!("no {field}"));
            }
            let options = &service["logging"]["options"];
            expect(
                options["max-size"].is_string() && options["max-file"].is_string(),
                faults,
                "its log grows for ever",
            );
            if SERVICES.contains(&name) {
                let grace = text(&service["stop_grace_period"]).strip_suffix('s');
                let grace: Option<u64> = grace.and_then(|grace| grace.parse().ok());
                expect(
                    grace >= Some(STOP),
                    faults,
                    format!("it has {grace:?} s to stop"),
                );
            }
        })
    };
    rule(
        check,
        &[
            ("/services/auth/mem_limit", Value::Null),
            ("/services/nats/pids_limit", Value::Null),
            ("/services/traefik/cpus", Value::Null),
            ("/services/traefik/logging", Value::Null),
            ("/services/redirector/stop_grace_period", json!("29s")),
        ],
    );
}

#[test]
fn only_traefik_is_reached_from_outside() {
    let check = |compose: &Value| {
        let mut faults = of_services(compose, |name, service, faults| {
            expect(
                name == "traefik" || service["ports"].is_null(),
                faults,
                "it publishes ports",
            );
            let networks: Vec<_> = list(&service["networks"]).iter().map(text).collect();
            expect(
                name != "traefik" || networks == ["edge"],
                faults,
                "it reaches the bus",
            );
            expect(
                name != "nats" || networks == ["bus"],
                faults,
                "it is reached from the edge",
            );
        });
        expect(
            compose["networks"]["bus"]["internal"] == true,
            &mut faults,
            "the bus leads outside",
        );
        faults
    };
    rule(
        check,
        &[
            ("/services/nats/ports", json!(["4222:4222"])),
            ("/services/auth/ports", json!(["9090:9090"])),
            ("/services/traefik/networks", json!(["edge", "bus"])),
            ("/services/nats/networks", json!(["edge", "bus"])),
            ("/networks/bus/internal", Value::Null),
        ],
    );
}

#[test]
fn volumes_are_there_and_each_secret_has_one_reader() {
    let check = |compose: &Value| {
        let mut used = BTreeSet::new();
        let mut readers = BTreeMap::<String, Vec<String>>::new();
        let mut faults = Faults::new();
        for (name, service) in compose["services"].as_object().into_iter().flatten() {
            for volume in list(&service["volumes"]) {
                let (source, is_read_only) = match volume.as_str() {
                    Some(short) => {
                        let parts: Vec<_> = short.split(':').collect();
                        (
                            parts[0],
                            parts
                                .get(2)
                                .is_some_and(|options| options.split(',').any(|one| one == "ro")),
                        )
                    }
                    None => (text(&volume["source"]), volume["read_only"] == true),
                };
                if source.starts_with(['.', '/']) {
                    expect(
                        repository().join(source).exists(),
                        &mut faults,
                        format!("{name}: no {source}"),
                    );
                    expect(
                        is_read_only,
                        &mut faults,
                        format!("{name}: it can write {source}"),
                    );
                    continue;
                }
                expect(
                    compose["volumes"].get(source).is_some(),
                    &mut faults,
                    format!("{name}: no {source}"),
                );
                used.insert(source.to_owned());
                if source.starts_with("secrets-") && name != "secrets" {
                    expect(
                        is_read_only,
                        &mut faults,
                        format!("{name}: it can write {source}"),
                    );
                    readers
                        .entry(source.to_owned())
                        .or_default()
                        .push(name.clone());
                }
            }
        }
        for (secret, readers) in readers {
            expect(
                secret == format!("secrets-{}", readers.join(",")),
                &mut faults,
                format!("{readers:?} read {secret}"),
            );
        }
        let unused = compose["volumes"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| !used.contains(*name));
        faults.extend(unused.map(|(name, _)| format!("nobody uses {name}")));
        faults
    };
    rule(
        check,
        &[
            ("/services/auth/volumes/-", json!("other:/data")),
            (
                "/services/auth/volumes/-",
                json!("secrets-operator:/operator:ro"),
            ),
            ("/services/auth/volumes/0", json!("secrets-auth:/secrets")),
            ("/services/nats/volumes/-", json!("./not-there:/x:ro")),
            ("/services/nats/volumes/-", json!("./compose.yaml:/x")),
            ("/volumes/other", json!({})),
        ],
    );
}

#[test]
fn settings_are_read_complete_and_accepted() {
    let check = |compose: &Value| {
        of_services(compose, |name, service, faults| {
            if !SERVICES.contains(&name) {
                return;
            }
            let settings = service["environment"].as_object().into_iter().flatten();
            let settings: BTreeMap<_, _> = settings
                .map(|(name, value)| (name.as_str(), text(value)))
                .collect();
            for variable in settings.keys() {
                expect(
                    reads(name, variable),
                    faults,
                    format!("it does not read {variable}"),
                );
            }
            let is_set = |variable: &str| {
                settings
                    .get(variable)
                    .is_some_and(|value| !value.is_empty())
            };
            for variable in required(name) {
                let found = is_set(&variable) || is_set(&format!("{variable}_FILE"));
                expect(found, faults, format!("it needs {variable}"));
            }
            if let Err(complaint) = accepts(name, settings.into_iter()) {
                faults.push(complaint);
            }
        })
    };
    rule(
        check,
        &[
            ("/services/auth/environment/KURZ_SPOOL", json!("/spool")),
            ("/services/auth/environment/KURZ_DATABASE", Value::Null),
            (
                "/services/redirector/environment/KURZ_SPOOL_SYNC",
                json!("often"),
            ),
        ],
    );
}

#[test]
fn images_are_of_this_version() {
    let check = |compose: &Value| {
        of_services(compose, |_, service, faults| {
            let image = text(&service["image"]);
            let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
            expect(
                !["", "latest"].contains(&tag),
                faults,
                format!("{image} may be anything"),
            );
            let ours = !image.starts_with("kurz/") || tag == env!("CARGO_PKG_VERSION");
            expect(ours, faults, format!("{image} is another version"));
            expect(
                !image.starts_with("nats:") || image == nats(),
                faults,
                format!("a cluster has {}", nats()),
            );
        })
    };
    rule(
        check,
        &[
            ("/services/auth/image", json!("kurz/auth:0.0.9")),
            ("/services/traefik/image", json!("traefik")),
            ("/services/nats/image", json!("nats:2.14.0-alpine")),
        ],
    );
}

/// The image that k8s/ has.
fn nats() -> &'static str {
    let nats = crate::rendering::rendering("local")
        .workload("nats")
        .unwrap();
    text(&nats.spec()["containers"][0]["image"])
}

#[test]
fn who_is_waited_for_says_when_it_is_ready() {
    let check = |compose: &Value| {
        of_services(compose, |_, service, faults| {
            let conditions = service["depends_on"].as_object().into_iter().flatten();
            for (other, condition) in conditions {
                let other = &compose["services"][other];
                // Ours have it in their image.
                let has_check = other["healthcheck"]["test"].is_array()
                    || (text(&other["image"]).starts_with("kurz/")
                        && other["healthcheck"].is_null());
                let good = match text(&condition["condition"]) {
                    "service_healthy" => has_check,
                    "service_completed_successfully" => other["restart"] == "no",
                    _ => !other.is_null(),
                };
                expect(good, faults, format!("waits in vain: {condition}"));
            }
        })
    };
    rule(
        check,
        &[
            ("/services/nats/healthcheck", Value::Null),
            ("/services/secrets/restart", json!("always")),
            (
                "/services/traefik/depends_on/other",
                json!({ "condition": "service_started" }),
            ),
        ],
    );
    let recipe = fs::read_to_string(repository().join("docker/Dockerfile")).unwrap();
    assert!(recipe.lines().any(|line| line.starts_with("HEALTHCHECK")));
}

/// cargo reads the manifest of every member, and the recipe sees only what is named.
#[test]
fn the_recipe_of_the_images_sees_every_manifest() {
    let root = repository();
    let workspace = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let members = workspace.lines().find(|line| line.starts_with("members"));
    let seen = fs::read_to_string(root.join("docker/Dockerfile.dockerignore")).unwrap();
    let members: Vec<&str> = members.unwrap().split('"').skip(1).step_by(2).collect();
    assert!(members.len() > 8, "{members:?}");
    for member in members {
        let folder = member.split('/').next().unwrap();
        let named = [format!("!{folder}"), format!("!{member}/Cargo.toml")];
        let is_named = seen
            .lines()
            .any(|line| named.iter().any(|name| name == line));
        assert!(
            is_named,
            "docker/Dockerfile.dockerignore leaves {member} out"
        );
    }
}

/// Replaces `${NAME:-default}` and `${NAME:+value}` as Compose does when no variable is set.
fn interpolate(value: &mut Value) {
    match value {
        Value::String(text) => *text = without_variables(text),
        Value::Array(items) => items.iter_mut().for_each(interpolate),
        Value::Object(fields) => fields.values_mut().for_each(interpolate),
        _ => {}
    }
}

fn without_variables(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else {
        return text.to_owned();
    };
    let mut depth = 1;
    let end = rest.char_indices().find_map(|(place, char)| {
        depth += match char {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        (depth == 0).then_some(place)
    });
    let (inner, after) = rest.split_at(end.unwrap());
    let default = inner
        .split_once(":-")
        .filter(|(name, _)| !name.contains(':'));
    let default = default.map_or(String::new(), |(_, default)| without_variables(default));
    format!("{before}{default}{}", without_variables(&after[1..]))
}

#[test]
fn variables_that_nobody_sets_have_their_defaults() {
    assert_eq!(without_variables("a ${B:-c} d"), "a c d");
    assert_eq!(without_variables("${A:-x${B:-y}z}!"), "xyz!");
    assert_eq!(without_variables("h${A:+:${A:-}}"), "h");
    assert_eq!(without_variables("${A:-}"), "");
}
