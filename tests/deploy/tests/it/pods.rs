//! What every pod must be.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::rendering::{Rendering, Workload, list, text, title};
use crate::rule::{Faults, expect, of_containers, of_workloads, rule};

/// How long a service lets open requests finish, in seconds (`chassis::http`).
const DRAIN: u64 = 10;

/// `KURZ_STOP_TIMEOUT` when nobody sets it.
const STOP_TIMEOUT: u64 = 20;

/// User ids up to here may be somebody's on the node.
const USERS_OF_NODES: u64 = 10_000;

rule! {
    nobody_is_root: |kurz| of_workloads(kurz, |pod, faults| {
        let own = &pod.spec()["securityContext"];
        for context in pod.containers().map(|container| &container["securityContext"]).chain([own]) {
            for id in ["runAsUser", "runAsGroup"] {
                let id_is = context[id].as_u64().or(own[id].as_u64());
                expect(id_is.is_some_and(|id| id > USERS_OF_NODES), faults, format!("{id} is {id_is:?}"));
            }
            expect(context["runAsNonRoot"] != false, faults, "runAsNonRoot is taken back");
        }
        expect(own["runAsNonRoot"] == true, faults, "runAsNonRoot is not set");
    });
    breaks "production" "Deployment" "redirector" "/spec/template/spec/securityContext/runAsUser" 0;
    breaks "production" "Deployment" "redirector" "/spec/template/spec/securityContext/runAsGroup" null;
    breaks "production" "StatefulSet" "nats" "/spec/template/spec/securityContext/runAsNonRoot" null;
    breaks "local" "StatefulSet" "auth" "/spec/template/spec/containers/0/securityContext/runAsUser" 1000;
}

rule! {
    no_process_gets_more_rights: |kurz| of_containers(kurz, |pod, container, faults| {
        let own = &container["securityContext"];
        expect(own["allowPrivilegeEscalation"] == false, faults, "privileges may escalate");
        expect(own["capabilities"] == json!({ "drop": ["ALL"] }), faults, "it keeps capabilities");
        expect(own["readOnlyRootFilesystem"] == true, faults, "it can write into its image");
        expect(own["privileged"] != true, faults, "it is privileged");
        let seccomp = [&pod.spec()["securityContext"], own].map(|context| &context["seccompProfile"]["type"]);
        expect(seccomp[0] == "RuntimeDefault", faults, "its system calls are not filtered");
        expect(seccomp[1].is_null() || seccomp[1] == seccomp[0], faults, "its system calls are filtered otherwise");
    });
    breaks "production" "StatefulSet" "nats" "/spec/template/spec/containers/0/securityContext/allowPrivilegeEscalation" null;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/securityContext/capabilities/add" ["NET_RAW"];
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/securityContext/capabilities/drop/0" "NET_RAW";
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem" false;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/securityContext/privileged" true;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/securityContext/seccompProfile" null;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/securityContext/seccompProfile" {"type": "Unconfined"};
}

rule! {
    no_pod_sees_its_node: |kurz| of_workloads(kurz, |pod, faults| {
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            expect(pod.spec()[field] != true, faults, field);
        }
        let paths = list(&pod.spec()["volumes"]).iter().any(|volume| !volume["hostPath"].is_null());
        expect(!paths, faults, "hostPath");
        let ports = pod.containers().flat_map(|container| list(&container["ports"]));
        expect(!{ ports }.any(|port| !port["hostPort"].is_null()), faults, "hostPort");
    });
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/hostNetwork" true;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/hostPID" true;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/volumes/-" {"name": "x", "hostPath": {"path": "/"}};
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/ports/0/hostPort" 80;
}

rule! {
    no_pod_talks_to_the_api: |kurz| of_workloads(kurz, |pod, faults| {
        expect(pod.spec()["automountServiceAccountToken"] == false, faults, "it gets a token");
        expect(pod.spec()["serviceAccountName"].is_null(), faults, "it has an account");
        expect(pod.spec()["enableServiceLinks"] == false, faults, "it gets variables of all Services");
    });
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/automountServiceAccountToken" null;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/enableServiceLinks" null;
}

rule! {
    every_server_has_three_probes: |kurz| of_containers(kurz, |_, container, faults| {
        let probes = ["startupProbe", "readinessProbe", "livenessProbe"].map(|probe| &container[probe]);
        expect(!probes.contains(&&Value::Null), faults, "a probe is missing");
        let [_, ready, live] = probes.map(|probe| text(&probe["httpGet"]["path"]));
        expect(ready != live, faults, "ready is the same as live");
        for probe in probes {
            expect(!probe["timeoutSeconds"].is_null(), faults, "a probe has no timeout of its own");
        }
    });
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/startupProbe" null;
    breaks "production" "Deployment" "redirector" "/spec/template/spec/containers/0/readinessProbe" null;
    breaks "production" "StatefulSet" "nats" "/spec/template/spec/containers/0/livenessProbe" null;
    breaks "production" "StatefulSet" "nats" "/spec/template/spec/containers/0/livenessProbe/timeoutSeconds" null;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/readinessProbe/httpGet/path" "/health/live";
}

rule! {
    resources_are_asked_for_and_limited: |kurz| of_containers(kurz, |_, container, faults| {
        let (requests, limits) = (&container["resources"]["requests"], &container["resources"]["limits"]);
        expect(requests["cpu"].is_string(), faults, "it asks for no cpu");
        expect(requests["memory"].is_string(), faults, "it asks for no memory");
        // More than it asked for is what the kernel takes back by killing.
        expect(requests["memory"] == limits["memory"], faults, "its limit of memory is another than what it asks for");
        // A limit of cpu makes it wait while the node idles.
        expect(limits["cpu"].is_null(), faults, "its cpu is limited");
    });
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/resources/requests/cpu" null;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/resources/requests/memory" "1Gi";
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/resources/limits/memory" null;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/resources/limits/cpu" "1";
}

rule! {
    the_grace_period_is_as_long_as_a_stop_may_take: stops_in_time;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/terminationGracePeriodSeconds" 34;
    breaks "production" "StatefulSet" "auth" "/spec/template/spec/containers/0/lifecycle" null;
    breaks "production" "ConfigMap" "redirector" "/data/KURZ_STOP_TIMEOUT" "616";
    breaks "production" "ConfigMap" "redirector" "/data/KURZ_STOP_TIMEOUT" "long";
    breaks "production" "StatefulSet" "nats" "/spec/template/spec/terminationGracePeriodSeconds" 34;
    breaks "production" "StatefulSet" "nats" "/spec/template/spec/containers/0/lifecycle/preStop/exec" null;
}

fn stops_in_time(kurz: &Rendering) -> Faults {
    of_workloads(kurz, |pod, faults| {
        let grace = pod.spec()["terminationGracePeriodSeconds"]
            .as_u64()
            .unwrap_or_default();
        let needed = if pod.name() == "nats" {
            stop_of_nats(kurz, pod)
        } else {
            stop_of_a_service(kurz, pod)
        };
        match needed {
            Some(needed) => expect(
                needed <= grace,
                faults,
                format!("needs {needed} s, and has {grace}"),
            ),
            None => faults.push("nobody knows how long it needs".to_owned()),
        }
    })
}

fn stop_of_a_service<'a>(kurz: &'a Rendering, pod: &Workload<'a>) -> Option<u64> {
    let asleep = |container: &Value| {
        container
            .pointer("/lifecycle/preStop/sleep/seconds")?
            .as_u64()
    };
    let asleep = pod.containers().map(asleep).max()??;
    let settings: BTreeMap<_, _> = pod.settings(kurz);
    let workers = settings
        .get("KURZ_STOP_TIMEOUT")
        .map_or(Some(STOP_TIMEOUT), |seconds| seconds.parse().ok())?;
    Some(asleep + DRAIN + workers)
}

/// The preStop hook returns at once; the server then goes by itself, and closes its streams.
fn stop_of_nats(kurz: &Rendering, pod: &Workload<'_>) -> Option<u64> {
    let container = pod.containers().next()?;
    let command = container.pointer("/lifecycle/preStop/exec/command")?;
    list(command)
        .iter()
        .any(|word| text(word).starts_with("ldm="))
        .then_some(())?;
    let config = kurz.find("ConfigMap", "nats")?["data"]["nats.conf"].as_str()?;
    let seconds = |name: &str| -> Option<u64> {
        let (_, value) = config.split_once(&format!("\n{name}: "))?;
        value.split_once('s')?.0.parse().ok()
    };
    Some(seconds("lame_duck_grace_period")? + seconds("lame_duck_duration")?)
}

rule! {
    workloads_and_their_pods_are_labelled: |kurz| of_workloads(kurz, |pod, faults| {
        for labels in [&pod.object["metadata"]["labels"], pod.labels()] {
            expect(labels["app.kubernetes.io/name"] == pod.name(), faults, "its name is no label");
            expect(labels["app.kubernetes.io/part-of"] == "kurz", faults, "it is part of nothing");
        }
    });
    breaks "production" "StatefulSet" "auth" "/metadata/labels/app.kubernetes.io~1name" null;
    breaks "production" "StatefulSet" "auth" "/spec/template/metadata/labels/app.kubernetes.io~1part-of" "other";
}

rule! {
    /// `kubectl get -l app.kubernetes.io/part-of=kurz` finds it all.
    every_object_is_part_of_kurz: |kurz| {
        let strangers = kurz.objects.iter().filter(|object| object["metadata"]["labels"]["app.kubernetes.io/part-of"] != "kurz");
        strangers.map(title).collect()
    };
    breaks "production" "Service" "auth" "/metadata/labels/app.kubernetes.io~1part-of" null;
}
