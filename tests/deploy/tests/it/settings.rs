//! The environment of each service: what its program reads, and all that it needs.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::LazyLock;

use chassis::testing::Folder;

use crate::program;
use crate::rendering::{Rendering, repository};
use crate::rule::{Faults, expect, of_workloads, rule};

/// `KURZ_LISTEN` and who reads it, for every variable, from docs/operations.md, which `.ci/docs` holds against the code.
static VARIABLES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let page = fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        let known = name.starts_with("KURZ_") || name.starts_with("OTEL_");
        known.then_some((name.to_owned(), cells.next()?.to_owned()))
    });
    rows.collect()
});

pub const SERVICES: [&str; 4] = ["auth", "shortener", "redirector", "analytics"];

/// Whether this program reads the variable, or the file that it names.
pub fn reads(program: &str, variable: &str) -> bool {
    let name = variable.strip_suffix("_FILE").unwrap_or(variable);
    VARIABLES.iter().any(|(known, readers)| {
        let mut readers = readers.split(", ");
        known == name
            && readers.any(|reader| match reader {
                "all" => true,
                "services" => program != "kurz",
                reader => reader == program,
            })
    })
}

/// What it does not start without, as it says itself.
pub fn required(program: &str) -> BTreeSet<String> {
    let output = program::command(program).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{program}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    let faults = complaint.trim().split_once(": ").unwrap().1.split("; ");
    let missing = faults.map(|fault| fault.split_once(" is missing").unwrap().0.to_owned());
    missing.collect()
}

rule! {
    every_setting_is_read: |kurz| of_workloads(kurz, |pod, faults| {
        for variable in pod.settings(kurz).keys() {
            expect(reads(pod.name(), variable), faults, format!("it does not read {variable}"));
        }
    });
    breaks "production" "ConfigMap" "auth" "/data/KURZ_SPOOL" "/spool";
    breaks "production" "ConfigMap" "common" "/data/KURZ_LOGS" "info";
    breaks "production" "ConfigMap" "redirector" "/data/KURZ_VISITOR_SALTS_FILE" "/secrets/visitor-salt";
}

rule! {
    nothing_that_is_needed_is_left_out: lacking;
    breaks "production" "ConfigMap" "auth" "/data/KURZ_DATABASE" null;
    breaks "production" "ConfigMap" "common" "/data/KURZ_PUBLIC_URL" "";
    breaks "production" "ConfigMap" "redirector" "/data/KURZ_VISITOR_SALT_FILE" null;
    breaks "production" "StatefulSet" "analytics" "/spec/template/spec/containers/0/envFrom/0" null;
}

fn lacking(kurz: &Rendering) -> Vec<String> {
    static REQUIRED: LazyLock<Vec<(&str, BTreeSet<String>)>> =
        LazyLock::new(|| SERVICES.map(|service| (service, required(service))).into());
    let each = REQUIRED.iter().flat_map(|(service, required)| {
        let settings = kurz.workload(service).unwrap().settings(kurz);
        let is_set = move |variable: &str| {
            settings
                .get(variable)
                .is_some_and(|value| !value.is_empty())
        };
        let missing = required
            .iter()
            .filter(move |name| !is_set(name) && !is_set(&format!("{name}_FILE")));
        missing.map(move |name| format!("{service} needs {name}"))
    });
    each.collect()
}

rule! {
    settings_are_accepted: refused;
    breaks "production" "ConfigMap" "databases" "/data/KURZ_DATABASE_PROFILE" "nfz";
    breaks "production" "ConfigMap" "databases" "/data/KURZ_NATS_REPLICAS" "2";
    breaks "production" "ConfigMap" "redirector" "/data/KURZ_SPOOL_BYTES" "1Gi";
    breaks "local" "ConfigMap" "common" "/data/KURZ_PUBLIC_URL" "kurz.test";
}

fn refused(kurz: &Rendering) -> Faults {
    let each = SERVICES.iter().filter_map(|service| {
        let settings = kurz.workload(service)?.settings(kurz);
        accepts(service, settings.into_iter()).err()
    });
    each.collect()
}

/// Whether the program takes these settings. Where it shall listen is somebody already: that is all it complains of,
/// and the first thing that it does with settings that it takes.
pub fn accepts<'a>(
    service: &str,
    settings: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), String> {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let salt = folder.path().join("visitor-salt");
    fs::write(&salt, "a salt for tests only").unwrap();
    let mut command = program::command(service);
    for (name, value) in settings {
        match name {
            "KURZ_LISTEN" | "KURZ_ADMIN_LISTEN" => {
                // The port is another here.
                value
                    .parse::<SocketAddr>()
                    .map_err(|error| format!("{service}: {name}: {error}"))?;
                command.env(name, &taken);
            }
            _ => {
                command.env(
                    name,
                    value.replace("/secrets/visitor-salt", salt.to_str().unwrap()),
                );
            }
        }
    }
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(1) && complaint.contains("can't listen on") {
        Ok(())
    } else {
        Err(complaint)
    }
}

#[test]
fn programs_say_what_they_need() {
    assert!(VARIABLES.len() > 25, "{VARIABLES:?}");
    assert!(reads("auth", "KURZ_DATABASE") && !reads("redirector", "KURZ_DATABASE"));
    let needed: Vec<_> = required("auth").into_iter().collect();
    assert_eq!(
        needed,
        ["KURZ_DATABASE", "KURZ_NATS_URL", "KURZ_PUBLIC_URL"]
    );
    assert!(required("redirector").contains("KURZ_VISITOR_SALT"));
}
