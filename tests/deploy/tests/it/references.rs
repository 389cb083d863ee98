//! What names something else names something that is there.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::rendering::{Rendering, Workload, list, name, repository, selects, text};
use crate::rule::{Faults, expect, of_containers, of_kind, of_workloads, rule};

/// What `k8s/secrets.sh` makes, with the files that pods name one by one.
const SECRETS: [(&str, &[&str]); 5] = [
    ("auth", &[]),
    ("shortener", &[]),
    ("analytics", &[]),
    ("redirector", &[]),
    ("nats-authorization", &["route-password"]),
];

/// The namespaces that are not ours, and what we have there.
const ELSEWHERE: [(&str, &str); 1] = [("cert-manager", "Certificate")];

rule! {
    selectors_select: |kurz| {
        let mut faults = of_workloads(kurz, |pod, faults| {
            expect(selects(&pod.object["spec"]["selector"], pod.labels()), faults, "not its own pods");
            for spread in list(&pod.spec()["topologySpreadConstraints"]) {
                expect(selects(&spread["labelSelector"], pod.labels()), faults, "it spreads others");
            }
        });
        faults.extend(of_kind(kurz, "Service", |service, faults| {
            expect(selected(kurz, service).next().is_some(), faults, "no pods");
        }));
        faults.extend(of_kind(kurz, "PodDisruptionBudget", |budget, faults| {
            let mut pods = kurz.workloads().filter(|pod| selects(&budget["spec"]["selector"], pod.labels()));
            expect(pods.next().is_some(), faults, "no pods");
        }));
        faults.extend(of_kind(kurz, "StatefulSet", |set, faults| {
            expect(kurz.find("Service", text(&set["spec"]["serviceName"])).is_some(), faults, "no such Service");
        }));
        faults
    };
    breaks "production" "StatefulSet" "auth" "/spec/selector/matchLabels/app.kubernetes.io~1name" "other";
    breaks "production" "StatefulSet" "auth" "/spec/serviceName" "other";
    breaks "production" "Service" "auth" "/spec/selector/app.kubernetes.io~1name" "other";
    breaks "production" "PodDisruptionBudget" "auth" "/spec/selector/matchLabels/app.kubernetes.io~1name" "other";
    breaks "production" "StatefulSet" "nats" "/spec/template/spec/topologySpreadConstraints/0/labelSelector/matchLabels/app.kubernetes.io~1name" "other";
}

/// The workloads behind a Service.
fn selected<'a>(kurz: &'a Rendering, service: &'a Value) -> impl Iterator<Item = Workload<'a>> {
    let selector = serde_json::json!({ "matchLabels": service["spec"]["selector"] });
    kurz.workloads()
        .filter(move |pod| selects(&selector, pod.labels()))
}

rule! {
    ports_are_there: |kurz| {
        let mut faults = of_kind(kurz, "Service", |service, faults| {
            for port in list(&service["spec"]["ports"]) {
                let lacking = selected(kurz, service).any(|pod| !pod.has_port(&port["targetPort"]));
                expect(!lacking, faults, format!("no port {}", port["targetPort"]));
            }
        });
        faults.extend(of_containers(kurz, |pod, container, faults| {
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                let port = &container[probe]["httpGet"]["port"];
                expect(port.is_null() || pod.has_port(port), faults, format!("no port {port}"));
            }
        }));
        faults.extend(of_kind(kurz, "Ingress", |ingress, faults| {
            let rules = list(&ingress["spec"]["rules"]).iter();
            let paths: Vec<_> = rules.flat_map(|rule| list(&rule["http"]["paths"])).collect();
            expect(!paths.is_empty(), faults, "no paths");
            for path in paths {
                let backend = &path["backend"]["service"];
                let port = &backend["port"];
                expect(serves(kurz, &backend["name"], &port["name"], &port["number"]), faults, format!("no {backend}"));
            }
        }));
        faults.extend(of_kind(kurz, "HTTPRoute", |route, faults| {
            for backend in list(&route["spec"]["rules"]).iter().flat_map(|rule| list(&rule["backendRefs"])) {
                expect(serves(kurz, &backend["name"], &Value::Null, &backend["port"]), faults, format!("no {backend}"));
            }
            for parent in list(&route["spec"]["parentRefs"]) {
                let gateway = kurz.find("Gateway", text(&parent["name"]));
                let listeners = gateway.map_or(&[][..], |gateway| list(&gateway["spec"]["listeners"]));
                let found = listeners.iter().any(|listener| listener["name"] == parent["sectionName"]);
                expect(found, faults, format!("no {parent}"));
            }
        }));
        faults
    };
    breaks "production" "Service" "auth" "/spec/ports/0/targetPort" "other";
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/livenessProbe/httpGet/port" "other";
    breaks "production" "Ingress" "kurz" "/spec/rules/0/http/paths/0/backend/service/port/name" "other";
    breaks "production" "Ingress" "kurz" "/spec/rules/0/http/paths/0/backend/service/name" "other";
    breaks "gateway-api" "HTTPRoute" "kurz" "/spec/rules/0/backendRefs/0/port" 80;
    breaks "gateway-api" "HTTPRoute" "kurz" "/spec/parentRefs/0/sectionName" "other";
}

/// Whether a Service of this name has a port of this name, or of this number.
fn serves(kurz: &Rendering, service: &Value, port_name: &Value, number: &Value) -> bool {
    kurz.find("Service", text(service)).is_some_and(|service| {
        let mut ports = list(&service["spec"]["ports"]).iter();
        ports.any(|port| {
            if port_name.is_null() {
                port["port"] == *number
            } else {
                port["name"] == *port_name
            }
        })
    })
}

rule! {
    /// A gateway serves what the Ingress serves.
    routes_are_the_same_either_way: |kurz| {
        let routes = routes(kurz);
        let expected = [
            ("/", "redirector"), ("/analytics", "analytics"), ("/auth", "auth"), ("/docs", "shortener"),
            ("/shortener", "shortener"),
        ];
        let expected: BTreeSet<_> = expected.map(|(path, to)| (path.to_owned(), to.to_owned())).into();
        if routes == expected { Faults::new() } else { vec![format!("{routes:?}")] }
    };
    breaks "production" "Ingress" "kurz" "/spec/rules/0/http/paths/0/path" "/other";
    breaks "production" "Ingress" "kurz" "/spec/rules/0/http/paths/0/pathType" "Exact";
    breaks "gateway-api" "HTTPRoute" "kurz" "/spec/rules/1" null;
}

fn routes(kurz: &Rendering) -> BTreeSet<(String, String)> {
    let pair = |path: &Value, to: &Value| (text(path).to_owned(), text(to).to_owned());
    let mut routes = BTreeSet::new();
    for rule in kurz
        .of_kind("Ingress")
        .flat_map(|ingress| list(&ingress["spec"]["rules"]))
    {
        let paths = list(&rule["http"]["paths"])
            .iter()
            .filter(|path| path["pathType"] == "Prefix");
        routes.extend(paths.map(|path| pair(&path["path"], &path["backend"]["service"]["name"])));
    }
    for rule in kurz
        .of_kind("HTTPRoute")
        .flat_map(|route| list(&route["spec"]["rules"]))
    {
        let to = list(&rule["backendRefs"]).first();
        let paths = list(&rule["matches"])
            .iter()
            .map(|matching| &matching["path"]);
        let paths = paths.filter(|path| path["type"] == "PathPrefix");
        routes.extend(
            to.into_iter()
                .flat_map(|to| paths.clone().map(|path| pair(&path["value"], &to["name"]))),
        );
    }
    routes
}

rule! {
    volumes_and_their_contents_are_there: |kurz| {
        let mut faults = of_containers(kurz, |pod, container, faults| {
            let volumes = pod.volumes();
            for mount in list(&container["volumeMounts"]) {
                expect(volumes.contains(text(&mount["name"])), faults, format!("no volume {}", mount["name"]));
            }
            for source in list(&container["envFrom"]) {
                let map = &source["configMapRef"]["name"];
                expect(has_map(kurz, map), faults, format!("no ConfigMap in {source}"));
            }
            for variable in list(&container["env"]) {
                let key = &variable["valueFrom"]["secretKeyRef"];
                let found = SECRETS.iter().any(|(secret, files)| key["name"] == *secret && files.contains(&text(&key["key"])));
                expect(key.is_null() || found, faults, format!("nobody makes {key}"));
            }
        });
        faults.extend(of_workloads(kurz, |pod, faults| {
            let mounts = pod.containers().flat_map(|container| list(&container["volumeMounts"]));
            let mounted: BTreeSet<_> = mounts.map(|mount| text(&mount["name"])).collect();
            for volume in pod.volumes() {
                expect(mounted.contains(volume), faults, format!("nobody mounts {volume}"));
            }
            for volume in list(&pod.spec()["volumes"]) {
                let (map, secret) = (&volume["configMap"]["name"], &volume["secret"]["secretName"]);
                expect(map.is_null() || has_map(kurz, map), faults, format!("no ConfigMap {map}"));
                let found = SECRETS.iter().any(|(name, _)| secret == name);
                expect(secret.is_null() || found, faults, format!("nobody makes the Secret {secret}"));
            }
        }));
        faults
    };
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/volumeMounts/0/name" "other";
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/volumeMounts/0" null;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/envFrom/0/configMapRef/name" "common";
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/volumes/0/secret/secretName" "other";
    breaks "production" "StatefulSet" "nats" "/spec/template/spec/volumes/0/configMap/name" "nats";
    breaks "production" "StatefulSet" "nats" "/spec/template/spec/containers/0/env/0/valueFrom/secretKeyRef/key" "other";
}

fn has_map(kurz: &Rendering, map: &Value) -> bool {
    kurz.of_kind("ConfigMap").any(|object| *map == name(object))
}

rule! {
    /// A volume made by hand waits for a claim that will come, and is as large as it wants.
    volumes_on_nfs_are_claimed: |kurz| of_kind(kurz, "PersistentVolume", |volume, faults| {
        let claim = text(&volume["spec"]["claimRef"]["name"]);
        let claims = kurz.of_kind("StatefulSet").flat_map(|set| {
            let claims = list(&set["spec"]["volumeClaimTemplates"]).iter();
            claims.map(move |claim| (format!("{}-{}-0", name(claim), name(set)), &claim["spec"]))
        });
        match { claims }.find(|(own, _)| own == claim) {
            None => faults.push(format!("nobody claims {claim}")),
            Some((_, spec)) => {
                expect(spec["storageClassName"] == "", faults, "a class would make another volume");
                expect(volume["spec"]["storageClassName"] == "", faults, "it has a class");
                let (has, wants) = (&volume["spec"]["capacity"]["storage"], &spec["resources"]["requests"]["storage"]);
                expect(has == wants, faults, format!("it has {has}, and the claim wants {wants}"));
            }
        }
    });
    breaks "production" "PersistentVolume" "kurz-auth" "/spec/claimRef/name" "data-other-0";
    breaks "production" "PersistentVolume" "kurz-auth" "/spec/capacity/storage" "10Mi";
    breaks "nfs/in-tree" "StatefulSet" "auth" "/spec/volumeClaimTemplates/0/spec/storageClassName" null;
}

rule! {
    nothing_is_left_to_be_set: |kurz| kurz.objects.iter().filter(|object| object.to_string().contains("set-by-")).map(crate::rendering::title).collect();
    breaks "production" "PersistentVolume" "kurz-auth" "/spec/csi/volumeAttributes/server" "set-by-the-site";
}

rule! {
    everything_is_in_the_namespace: |kurz| {
        let own = |object: &&Value| !["Namespace", "ClusterIssuer", "PersistentVolume"].contains(&text(&object["kind"]));
        let strangers = kurz.objects.iter().filter(own).filter(|object| {
            let namespace = text(&object["metadata"]["namespace"]);
            namespace != "kurz" && !ELSEWHERE.contains(&(namespace, text(&object["kind"])))
        });
        strangers.map(crate::rendering::title).collect()
    };
    breaks "production" "Service" "auth" "/metadata/namespace" null;
    breaks "production" "StatefulSet" "auth" "/metadata/namespace" "default";
}

rule! {
    the_namespace_takes_only_restricted_pods: |kurz| {
        let labels = |namespace: &'_ Value| namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted";
        let good = kurz.find("Namespace", "kurz").is_some_and(labels);
        if good { Faults::new() } else { vec!["it does not enforce that".to_owned()] }
    };
    breaks "production" "Namespace" "kurz" "/metadata/labels/pod-security.kubernetes.io~1enforce" "baseline";
}

rule! {
    no_secret_is_rendered: |kurz| kurz.of_kind("Secret").map(crate::rendering::title).collect();
    breaks "production" "ConfigMap" "auth" "/kind" "Secret";
}

#[test]
fn no_secret_is_in_git() {
    let mut folders = vec![repository().join("k8s")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                let found = text.lines().any(|line| {
                    let line = line.trim_start_matches(['-', ' ']);
                    line.starts_with("kind: Secret") || line.starts_with("secretGenerator")
                });
                assert!(!found, "{}", path.display());
            }
        }
    }
}
