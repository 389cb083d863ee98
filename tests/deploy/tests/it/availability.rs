//! How many of each there are, and which program they run.

use std::fs;

use serde_json::Value;

use crate::rendering::{RENDERINGS, Rendering, Workload, list, repository, selects, text};
use crate::rule::{expect, of_containers, of_kind, of_workloads, rule};

rule! {
    who_opens_a_database_is_alone: |kurz| of_workloads(kurz, |pod, faults| {
        if pod.settings(kurz).contains_key("KURZ_DATABASE") {
            expect(pod.object["kind"] == "StatefulSet", faults, "two may run for a moment");
            let settings = pod.settings(kurz);
            let databases = settings.get("KURZ_PARTITIONS").map_or(Ok(1), |number| number.parse::<u64>());
            let replicas = pod.object["spec"]["replicas"].as_u64();
            expect(replicas == databases.ok(), faults, "there is not exactly one for each database");
        }
    });
    breaks "production" "StatefulSet" "auth" "/spec/replicas" 2;
    breaks "production" "StatefulSet" "analytics" "/spec/replicas" null;
    breaks "production" "StatefulSet" "shortener" "/kind" "Deployment";
    breaks "partitions" "StatefulSet" "analytics" "/spec/replicas" 2;
    breaks "partitions" "ConfigMap" "analytics" "/data/KURZ_PARTITIONS" "4";
}

rule! {
    /// Each part of the accounts has one process, which redirectors and the other parts agree on and find.
    partitions_fit_together: |kurz| of_workloads(kurz, |pod, faults| {
        let number = |name| kurz.workload(name).and_then(|pod| pod.settings(kurz).get("KURZ_PARTITIONS").copied());
        if pod.name() != "analytics" || number("analytics").is_none() {
            return;
        }
        expect(number("redirector") == number("analytics"), faults, "redirectors divide otherwise");
        let settings = pod.settings(kurz);
        let service = text(&pod.object["spec"]["serviceName"]);
        let urls = settings.get("KURZ_PARTITION_URLS").copied();
        let expected = format!("http://analytics-{{partition}}.{service}:8080");
        expect(urls == Some(&expected), faults, format!("{urls:?} is not {expected}"));
        let headless = kurz.find("Service", service).is_some_and(|service| {
            let name = "app.kubernetes.io/name";
            service["spec"]["clusterIP"] == "None" && service["spec"]["selector"][name] == pod.labels()[name]
        });
        expect(headless, faults, "its pods have no names");
    });
    breaks "partitions" "ConfigMap" "redirector" "/data/KURZ_PARTITIONS" "2";
    breaks "partitions" "StatefulSet" "analytics" "/spec/serviceName" "analytics";
    breaks "partitions" "Service" "analytics-partitions" "/spec/clusterIP" null;
    breaks "partitions" "ConfigMap" "analytics" "/data/KURZ_PARTITION_URLS" "http://analytics:8080";
}

rule! {
    who_is_scaled_is_there_and_says_no_number: |kurz| of_kind(kurz, "HorizontalPodAutoscaler", |scaler, faults| {
        let target = &scaler["spec"]["scaleTargetRef"];
        match kurz.find(text(&target["kind"]), text(&target["name"])) {
            None => faults.push(format!("no {target}")),
            Some(target) => expect(target["spec"]["replicas"].is_null(), faults, "every apply resets the number"),
        }
        let [least, most] = ["minReplicas", "maxReplicas"].map(|bound| scaler["spec"][bound].as_u64());
        expect(least >= Some(1) && least < most, faults, format!("from {least:?} to {most:?}"));
    });
    breaks "production" "HorizontalPodAutoscaler" "redirector" "/spec/scaleTargetRef/kind" "StatefulSet";
    breaks "production" "HorizontalPodAutoscaler" "redirector" "/spec/maxReplicas" 1;
    breaks "production" "Deployment" "redirector" "/spec/replicas" 2;
}

rule! {
    /// Of everything one pod may be evicted, and not all if there are several.
    nodes_can_be_drained: |kurz| {
        let mut faults = of_workloads(kurz, |pod, faults| {
            let mut budgets = kurz.of_kind("PodDisruptionBudget");
            let found = budgets.any(|budget| selects(&budget["spec"]["selector"], pod.labels()));
            expect(found, faults, "no budget");
        });
        faults.extend(of_kind(kurz, "PodDisruptionBudget", |budget, faults| {
            expect(budget["spec"]["maxUnavailable"] == 1, faults, "not one at a time");
            expect(budget["spec"]["minAvailable"].is_null(), faults, "a number that must stay can be all there are");
            expect(budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow", faults, "a broken pod blocks the node");
        }));
        faults
    };
    breaks "production" "PodDisruptionBudget" "auth" "/spec/maxUnavailable" 0;
    breaks "production" "PodDisruptionBudget" "auth" "/spec/maxUnavailable" "50%";
    breaks "production" "PodDisruptionBudget" "nats" "/spec/minAvailable" 3;
    breaks "production" "PodDisruptionBudget" "auth" "/spec/selector/matchLabels/app.kubernetes.io~1name" "other";
}

rule! {
    /// By default a `StatefulSet` waits until a pod is ready before it replaces it: also one that never will be.
    the_way_back_needs_no_hand: |kurz| of_kind(kurz, "StatefulSet", |set, faults| {
        expect(set["spec"]["podManagementPolicy"] == "Parallel", faults, "it waits for a broken pod");
    });
    breaks "production" "StatefulSet" "auth" "/spec/podManagementPolicy" null;
    breaks "durable-spool" "StatefulSet" "redirector" "/spec/podManagementPolicy" "OrderedReady";
}

rule! {
    replicas_of_streams_are_as_many_as_servers: |kurz| {
        let servers = kurz.workload("nats").map(|nats| nats.object["spec"]["replicas"].to_string());
        of_workloads(kurz, |pod, faults| {
            if pod.settings(kurz).contains_key("KURZ_DATABASE") {
                let replicas = pod.settings(kurz).get("KURZ_NATS_REPLICAS").map(ToString::to_string);
                expect(replicas == servers, faults, format!("{replicas:?} of {servers:?}"));
            }
        })
    };
    breaks "production" "StatefulSet" "nats" "/spec/replicas" 1;
    breaks "production" "ConfigMap" "databases" "/data/KURZ_NATS_REPLICAS" "1";
}

rule! {
    /// A replica that starts beside its like on one node would fall with it.
    several_spread_over_nodes: |kurz| of_workloads(kurz, |pod, faults| {
        if pod.object["spec"]["replicas"] != 1 || pod.name() == "nats" {
            let spread = list(&pod.spec()["topologySpreadConstraints"]);
            let over_nodes = spread.iter().any(|one| one["topologyKey"] == "kubernetes.io/hostname");
            expect(over_nodes, faults, "it does not spread");
        }
    });
    breaks "production" "Deployment" "redirector" "/spec/template/spec/topologySpreadConstraints" null;
    breaks "partitions" "StatefulSet" "analytics" "/spec/template/spec/topologySpreadConstraints" null;
}

rule! {
    images_are_what_was_looked_at: |kurz| of_containers(kurz, |pod, container, faults| {
        let image = text(&container["image"]);
        let (path, digest) = image.split_once('@').unwrap_or((image, ""));
        let tag = path.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
        if kurz.name == "local" {
            // Loaded by hand; ours are of this version.
            let version = if pod.name() == "nats" { "2.15.1-alpine" } else { env!("CARGO_PKG_VERSION") };
            expect(tag == Some(version), faults, format!("{image} is not {version}"));
        } else {
            expect(digest.starts_with("sha256:") && digest.len() == 71, faults, format!("{image} has no digest"));
        }
        expect(tag != Some("latest"), faults, "it may be any image");
    });
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/image" "registry.example.com/kurz/auth:0.1.0";
    breaks "local" "StatefulSet" "auth" "/spec/template/spec/containers/0/image" "kurz/auth:0.0.9";
    breaks "local" "StatefulSet" "nats" "/spec/template/spec/containers/0/image" "nats:latest";
    breaks "local" "StatefulSet" "nats" "/spec/template/spec/containers/0/image" "nats";
}

rule! {
    /// What nats-server may store fits on its volume, and its heap into its memory.
    nats_knows_how_much_it_has: |kurz| of_workloads(kurz, |pod, faults| {
        if pod.name() == "nats" {
            let within = |variable: &str, whole: &Value| {
                let container = pod.containers().next()?;
                let variables = list(&container["env"]).iter();
                let value = { variables }.find(|one| one["name"] == variable)?;
                Some(bytes(text(&value["value"]))? < bytes(text(whole))?)
            };
            let volume = &pod.object["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"];
            expect(within("MAX_FILE_STORE", volume) == Some(true), faults, "its store outgrows its volume");
            let memory = &pod.spec()["containers"][0]["resources"]["limits"]["memory"];
            expect(within("GOMEMLIMIT", memory) == Some(true), faults, "its heap outgrows its memory");
        }
    });
    breaks "production" "StatefulSet" "nats" "/spec/volumeClaimTemplates/0/spec/resources/requests/storage" "10Gi";
    breaks "production" "StatefulSet" "nats" "/spec/template/spec/containers/0/resources/limits/memory" "512Mi";
}

rule! {
    /// The spool, and what lies beside it, fits on its volume.
    the_spool_has_room: |kurz| of_workloads(kurz, |pod, faults| {
        if let Some(spool) = pod.settings(kurz).get("KURZ_SPOOL_BYTES") {
            let most = volume_of_the_spool(pod).and_then(bytes);
            expect(most > bytes(spool), faults, format!("{spool} bytes on {most:?}"));
        }
    });
    breaks "production" "ConfigMap" "redirector" "/data/KURZ_SPOOL_BYTES" "2147483648";
    breaks "durable-spool" "StatefulSet" "redirector" "/spec/volumeClaimTemplates/0/spec/resources/requests/storage" "1Gi";
}

fn volume_of_the_spool<'a>(pod: &Workload<'a>) -> Option<&'a str> {
    let called =
        |volume: &&Value| volume["name"] == "spool" || volume["metadata"]["name"] == "spool";
    let claims = list(&pod.object["spec"]["volumeClaimTemplates"]).iter();
    let volumes = list(&pod.spec()["volumes"]).iter();
    let volume = volumes.chain(claims).find(called)?;
    let size = volume.pointer("/emptyDir/sizeLimit");
    size.or_else(|| volume.pointer("/spec/resources/requests/storage"))?
        .as_str()
}

/// The bytes of a quantity: `512Mi`, `17GiB`, `1073741824`.
fn bytes(quantity: &str) -> Option<u64> {
    let (number, unit) = quantity.split_at(
        quantity
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(quantity.len()),
    );
    let factor = match unit.trim_end_matches('B') {
        "" => 0,
        "Ki" => 10,
        "Mi" => 20,
        "Gi" => 30,
        "Ti" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_shl(factor)
}

/// The Traefik of k8s/setup asks another pod when the first can't be reached. Else every second visitor
/// sees an error from when a redirector dies until Kubernetes knows it.
#[test]
fn traefik_tries_another_pod() {
    let yaml = fs::read_to_string(repository().join("k8s/setup/traefik.yaml")).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
    let of_kind = |kind: &str| {
        objects
            .iter()
            .find(|object| object["kind"] == kind)
            .unwrap()
    };
    let pod = &of_kind("DaemonSet")["spec"]["template"]["spec"];
    let argument = |name: &str| {
        let mut words = list(&pod["containers"][0]["args"]).iter().map(text);
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let chain = argument("--entrypoints.websecure.http.middlewares").unwrap();
    let name = chain.strip_suffix("@file").unwrap();
    let path = argument("--providers.file.filename").unwrap();
    let (folder, file) = path.rsplit_once('/').unwrap();
    let mut mounts = list(&pod["containers"][0]["volumeMounts"]).iter();
    let mount = mounts.find(|mount| mount["mountPath"] == folder).unwrap();
    let mut volumes = list(&pod["volumes"]).iter();
    let volume = volumes
        .find(|volume| volume["name"] == mount["name"])
        .unwrap();
    let map = of_kind("ConfigMap");
    assert_eq!(volume["configMap"]["name"], map["metadata"]["name"]);
    let dynamic: Value = serde_saphyr::from_str(text(&map["data"][file])).unwrap();
    let retry = &dynamic["http"]["middlewares"][name]["retry"];
    // With two redirectors each attempt meets the dead one half of the time.
    assert!(retry["attempts"].as_u64() >= Some(10), "{dynamic}");
    // By its status an answer would be asked for again that was counted already.
    assert_eq!(retry["status"], Value::Null);
    // A node that died refuses nothing.
    let patience = argument("--serverstransport.forwardingtimeouts.dialtimeout");
    assert!(
        patience.is_some_and(|time| time.ends_with("ms")),
        "{patience:?}"
    );
}

#[test]
fn quantities_are_bytes() {
    assert_eq!(bytes("512Mi"), Some(512 << 20));
    assert_eq!(bytes("17GiB"), Some(17 << 30));
    assert_eq!(bytes("100"), Some(100));
    assert_eq!(bytes("10G"), None);
}

#[test]
fn everything_that_kubernetes_can_deploy_is_looked_at() {
    // The choices of production are read from its kustomization: were that written otherwise, there would be none.
    let names: Vec<_> = RENDERINGS.iter().map(|one| one.name.as_str()).collect();
    for name in [
        "production",
        "durable-spool",
        "gateway-api",
        "ingress-nginx",
        "nfs/in-tree",
        "everything",
        "local",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    for rendering in RENDERINGS.iter() {
        let of = |rendering: &Rendering| {
            let mut names: Vec<_> = rendering
                .workloads()
                .map(|pod| pod.name().to_owned())
                .collect();
            names.sort();
            names
        };
        assert_eq!(
            of(rendering),
            ["analytics", "auth", "nats", "redirector", "shortener"],
            "{}",
            rendering.name
        );
    }
}

#[test]
fn every_component_is_deployed_by_somebody() {
    let components = repository().join("k8s/components");
    let mut named = String::new();
    let mut found = Vec::new();
    for entry in fs::read_dir(&components).unwrap() {
        let folder = entry.unwrap().path();
        let inner = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        for folder in inner.chain([folder]) {
            if let Ok(text) = fs::read_to_string(folder.join("kustomization.yaml")) {
                named += &text;
                found.push(
                    folder
                        .strip_prefix(&components)
                        .unwrap()
                        .display()
                        .to_string(),
                );
            }
        }
    }
    for rendering in RENDERINGS.iter() {
        named += &rendering.kustomization;
    }
    let lonely = |component: &&String| {
        let last = component.rsplit('/').next().unwrap();
        !named.contains(&format!("/components/{component}"))
            && !named.contains(&format!("[../{last}]"))
    };
    let lonely: Vec<_> = found.iter().filter(lonely).collect();
    assert!(lonely.is_empty(), "{lonely:?}");
    // And the other way round.
    let overlay =
        fs::read_to_string(repository().join("k8s/overlays/production/kustomization.yaml"))
            .unwrap();
    for component in overlay.split("../../components/").skip(1) {
        let component = component.split_whitespace().next().unwrap();
        assert!(
            components.join(component).is_dir(),
            "{component} is not there"
        );
    }
}
