//! Who reaches whom: what docs/architecture.md draws, and nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::rendering::{RENDERINGS, Rendering, list, rendering, selects, text};
use crate::rule::{Faults, rule};

const SERVICES: [&str; 4] = ["auth", "shortener", "analytics", "redirector"];

/// Somebody who may send or receive.
struct Party {
    name: String,
    labels: Value,
    /// The labels of the namespace; none for an address outside of the cluster.
    namespace: Option<Value>,
    /// Where somebody may want to reach it: protocol and port.
    ports: Vec<(&'static str, u64)>,
}

fn party(name: &str, namespace: &Value, labels: Value, ports: &[(&'static str, u64)]) -> Party {
    Party {
        name: name.to_owned(),
        labels,
        namespace: Some(namespace.clone()),
        ports: ports.to_vec(),
    }
}

/// Our own pods, and everybody else who comes into question.
fn parties(kurz: &Rendering) -> Vec<Party> {
    let namespace = |name: &str| json!({ "kubernetes.io/metadata.name": name });
    let own = namespace("kurz");
    let named = |name: &str| json!({ "app.kubernetes.io/name": name });
    let mut parties: Vec<_> = kurz
        .workloads()
        .map(|pod| {
            let ports = pod
                .containers()
                .flat_map(|container| list(&container["ports"]));
            let ports: Vec<_> = ports
                .filter_map(|port| Some(("TCP", port["containerPort"].as_u64()?)))
                .collect();
            party(pod.name(), &own, pod.labels().clone(), &ports)
        })
        .collect();
    let web: &[_] = &[("TCP", 80), ("TCP", 443), ("TCP", 8080), ("TCP", 4222)];
    parties.extend([
        party("a stranger beside them", &own, json!({}), web),
        party(
            "a solver",
            &own,
            json!({ "acme.cert-manager.io/http01-solver": "true" }),
            &[("TCP", 8089)],
        ),
        party("traefik", &namespace("traefik"), named("traefik"), web),
        party(
            "nginx",
            &namespace("nginx-ingress"),
            named("nginx-ingress"),
            web,
        ),
        party("not traefik", &namespace("traefik"), named("whoami"), web),
        party(
            "a false traefik",
            &namespace("default"),
            named("traefik"),
            web,
        ),
        party("a false auth", &namespace("default"), named("auth"), web),
        party("a false nats", &namespace("default"), named("nats"), web),
        party(
            "names",
            &namespace("kube-system"),
            json!({ "k8s-app": "kube-dns" }),
            &[("UDP", 53), ("TCP", 53), ("TCP", 443)],
        ),
        party(
            "monitoring",
            &json!({ "kurz/monitoring": "true" }),
            json!({}),
            &[("TCP", 4318), ("TCP", 9090)],
        ),
        party(
            "subscribers",
            &json!({ "kurz/subscribers": "true" }),
            json!({}),
            web,
        ),
        Party {
            name: "the internet".to_owned(),
            labels: json!({}),
            namespace: None,
            ports: web.to_vec(),
        },
    ]);
    parties
}

/// What is drawn: from, to, port.
fn drawn(kurz: &Rendering, parties: &[Party]) -> BTreeSet<String> {
    let mut drawn = BTreeSet::new();
    let mut arrow = |from: &str, to: &str, port: &str| drawn.insert(arrow(from, to, port));
    for service in SERVICES {
        arrow(service, "nats", "TCP 4222");
        arrow("traefik", service, "TCP 8080");
        arrow("nginx", service, "TCP 8080");
        arrow("monitoring", service, "TCP 9090");
        arrow(service, "monitoring", "TCP 4318");
    }
    // the keys of tokens
    arrow("shortener", "auth", "TCP 8080");
    arrow("analytics", "auth", "TCP 8080");
    if kurz.yaml.contains("KURZ_PARTITIONS") {
        arrow("analytics", "analytics", "TCP 8080");
    }
    arrow("nats", "nats", "TCP 6222");
    arrow("subscribers", "nats", "TCP 4222");
    arrow("traefik", "a solver", "TCP 8089");
    arrow("nginx", "a solver", "TCP 8089");
    for party in parties.iter().filter(|party| is_ours(party)) {
        arrow(&party.name, "names", "UDP 53");
        arrow(&party.name, "names", "TCP 53");
    }
    drawn
}

fn arrow(from: &str, to: &str, port: &str) -> String {
    format!("{from} → {to}, {port}")
}

fn is_ours(party: &Party) -> bool {
    party.namespace == Some(json!({ "kubernetes.io/metadata.name": "kurz" }))
}

rule! {
    what_is_drawn_is_allowed_and_nothing_else: |kurz| {
        let parties = parties(kurz);
        let drawn = drawn(kurz, &parties);
        // Each side by itself: what one of them lets through is held back by the other only until that changes.
        ["Egress", "Ingress"].iter().flat_map(|side| {
            let allowed = allowed(kurz, &parties, side);
            let drawn: BTreeSet<_> = drawn.intersection(&all(&parties, side)).cloned().collect();
            let missing = drawn.difference(&allowed).map(|arrow| format!("{side} refuses {arrow}"));
            let surplus = allowed.difference(&drawn).map(|arrow| format!("{side} allows {arrow}"));
            missing.chain(surplus).collect::<Faults>()
        }).collect()
    };
    breaks "production" "NetworkPolicy" "to-auth" "/spec/egress" [];
    breaks "production" "NetworkPolicy" "auth" "/spec/ingress/0/ports/0/port" 9090;
    breaks "production" "NetworkPolicy" "auth" "/spec/ingress/0/ports" null;
    breaks "production" "NetworkPolicy" "to-nats" "/spec/podSelector" {};
    breaks "production" "NetworkPolicy" "nats" "/spec/ingress/0/from" null;
    breaks "production" "NetworkPolicy" "nats" "/spec/ingress/0/from/0/namespaceSelector" {};
    breaks "production" "NetworkPolicy" "from-ingress" "/spec/ingress/0/from/0/podSelector" {};
    breaks "production" "NetworkPolicy" "names" "/spec/egress/0/ports/0/protocol" "TCP";
    breaks "production" "NetworkPolicy" "deny" "/spec/podSelector" {"matchLabels": {"app.kubernetes.io/part-of": "kurz"}};
}

rule! {
    every_pod_is_denied_everything_first: |kurz| {
        let mut policies = kurz.of_kind("NetworkPolicy");
        let denies = policies.any(|policy| {
            policy["spec"] == json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] })
        });
        if denies { Faults::new() } else { vec!["nothing denies".to_owned()] }
    };
    breaks "production" "NetworkPolicy" "deny" "/spec/ingress" [{}];
    breaks "production" "NetworkPolicy" "deny" "/spec/policyTypes/1" null;
}

/// Every way of which the policies of this side are ours.
fn ways<'a>(
    parties: &'a [Party],
    side: &str,
) -> impl Iterator<Item = (&'a Party, &'a Party, (&'static str, u64))> {
    let sends = side == "Egress";
    parties.iter().flat_map(move |from| {
        let others = parties
            .iter()
            .filter(move |to| is_ours(if sends { from } else { to }));
        others.flat_map(move |to| to.ports.iter().map(move |port| (from, to, *port)))
    })
}

fn name_of((from, to, (protocol, port)): (&Party, &Party, (&str, u64))) -> String {
    arrow(&from.name, &to.name, &format!("{protocol} {port}"))
}

fn all(parties: &[Party], side: &str) -> BTreeSet<String> {
    ways(parties, side).map(name_of).collect()
}

fn allowed(kurz: &Rendering, parties: &[Party], side: &str) -> BTreeSet<String> {
    let agreed = ways(parties, side).filter(|(from, to, port)| match side {
        "Egress" => agrees(kurz, side, from, to, *port),
        _ => agrees(kurz, side, to, from, *port),
    });
    agreed.map(name_of).collect()
}

/// Whether the policies of one side let it talk to the other. Who has no policy may do anything.
fn agrees(
    kurz: &Rendering,
    direction: &str,
    party: &Party,
    other: &Party,
    port: (&str, u64),
) -> bool {
    let own = |policy: &&Value| {
        let spec = &policy["spec"];
        is_ours(party)
            && list(&spec["policyTypes"]).contains(&json!(direction))
            && selects(&spec["podSelector"], &party.labels)
    };
    let mut own = kurz.of_kind("NetworkPolicy").filter(own).peekable();
    let (rules, peers) = match direction {
        "Ingress" => ("ingress", "from"),
        _ => ("egress", "to"),
    };
    own.peek().is_none()
        || own.any(|policy| {
            let mut rules = list(&policy["spec"][rules]).iter();
            rules.any(|rule| is_peer(&rule[peers], other) && is_port(&rule["ports"], port))
        })
}

/// No list, or an empty one, means everybody.
fn is_peer(peers: &Value, party: &Party) -> bool {
    let peers = list(peers);
    peers.is_empty()
        || peers.iter().any(|peer| {
            assert!(
                peer["ipBlock"].is_null(),
                "this evaluator knows no addresses yet"
            );
            let namespace = match &peer["namespaceSelector"] {
                Value::Null => is_ours(party),
                selector => party
                    .namespace
                    .as_ref()
                    .is_some_and(|labels| selects(selector, labels)),
            };
            namespace && selects(&peer["podSelector"], &party.labels)
        })
}

fn is_port(ports: &Value, (protocol, number): (&str, u64)) -> bool {
    let ports = list(ports);
    ports.is_empty()
        || ports.iter().any(|port| {
            assert!(
                !port["port"].is_string() && port["endPort"].is_null(),
                "this evaluator knows only numbers yet"
            );
            let own = port["protocol"].as_str().unwrap_or("TCP");
            own == protocol && (port["port"].is_null() || port["port"] == number)
        })
}

#[test]
fn policies_name_workloads_that_are_there() {
    for kurz in RENDERINGS.iter() {
        for policy in kurz.of_kind("NetworkPolicy") {
            for name in list(&policy["spec"]["podSelector"]["matchExpressions"])
                .iter()
                .flat_map(|one| list(&one["values"]))
            {
                assert!(kurz.workload(text(name)).is_some(), "{}: {name}", kurz.name);
            }
        }
    }
    assert!(rendering("production").of_kind("NetworkPolicy").count() > 5);
}
