//! The scripts of k8s/, on a cluster that is a folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use async_nats::jetstream;
use chassis::bus::{Bus, BusConfig};
use chassis::shutdown::Shutdown;
use chassis::testing::{Folder, NatsServer};
use events::streams;
use nkeys::KeyPair;

use crate::rendering::{repository, tool};

/// How often a rotation changes something: each time it may be cut off.
const CHANGES_OF_A_ROTATION: usize = 9;

/// The id of an account.
const OWNER: &str = "0199a5a0-0000-7000-8000-000000000001";

#[test]
fn scripts_are_free_of_the_usual_mistakes() {
    let mut scripts = Vec::new();
    for folder in [
        ".ci",
        "docker",
        "k8s",
        "k8s/setup",
        "tests/deploy/tests/it",
        "tests/setup",
    ] {
        for entry in fs::read_dir(repository().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            // Those that are sourced have no first line of their own.
            let is_sourced = path.extension().is_some_and(|ending| ending == "sh");
            let is_script = fs::read(&path).is_ok_and(|text| {
                text.starts_with(b"#!/usr/bin/env bash") || text.starts_with(b"#!/bin/sh")
            });
            if is_script || is_sourced {
                scripts.push(path);
            }
        }
    }
    assert!(scripts.len() > 8, "{scripts:?}");
    let run = Command::new(tool("shellcheck"))
        .args(&scripts)
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stdout)
    );
}

/// Each says of every case whether it went well, and fails if one did not.
#[test]
fn setup_makes_a_host_of_stand_ins_a_node() {
    passes("tests/setup/check.py");
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    passes("tests/monitoring/check");
}

fn passes(checks: &str) {
    let run = Command::new("python3")
        .arg(repository().join(checks))
        .current_dir(repository())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
}

/// A cluster that is a folder, and the programs that scripts call.
struct Cluster(Folder);

impl Cluster {
    fn new() -> Self {
        let folder = Folder::new();
        let programs = folder.path().join("bin");
        fs::create_dir(&programs).unwrap();
        let kubectl = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/kubectl");
        symlink(kubectl, programs.join("kubectl")).unwrap();
        symlink(env!("CARGO_BIN_EXE_deploy"), programs.join("kurz")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, script: &Path) -> Command {
        let programs = self.path("bin");
        let mut command = Command::new(script);
        command
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()),
            )
            .env("CLUSTER", self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(&repository().join("k8s/secrets.sh"))
            .args(arguments)
            .output()
            .unwrap()
    }

    fn secrets(&self, arguments: &[&str]) {
        let run = self.run(arguments);
        assert!(
            run.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&run.stderr)
        );
    }

    /// Lets the change of this number fail, counted from now.
    fn fail_at(&self, number: usize) {
        let _ = fs::remove_file(self.path("changes"));
        fs::write(self.path("fails"), number.to_string()).unwrap();
    }

    fn changes(&self) -> String {
        let changes = fs::read_to_string(self.path("changes")).unwrap();
        fs::remove_file(self.path("changes")).unwrap();
        changes.trim().replace('\n', ", ")
    }

    /// `auth/nats.nk` and all others, with what is in them.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for secret in fs::read_dir(self.path("secrets")).unwrap() {
            let secret = secret.unwrap();
            for file in fs::read_dir(secret.path()).unwrap() {
                let file = file.unwrap();
                let name = format!(
                    "{}/{}",
                    secret.file_name().display(),
                    file.file_name().display()
                );
                files.insert(name, fs::read(file.path()).unwrap());
            }
        }
        files
    }

    /// Whether this key is let in.
    fn lets_in(&self, seed: &Path) -> bool {
        let seed = fs::read_to_string(seed).unwrap();
        let public = KeyPair::from_seed(seed.trim()).unwrap().public_key();
        let rights =
            fs::read_to_string(self.path("secrets/nats-authorization/authorization.conf")).unwrap();
        rights.contains(&public)
    }

    /// A nats-server that has its rights from this cluster, and is reloaded by it.
    async fn nats(&self) -> NatsServer {
        let name = self.0.path().file_name().unwrap().to_str().unwrap();
        let include =
            format!("include \"../{name}/secrets/nats-authorization/authorization.conf\"");
        let server = NatsServer::start_with(&include).await;
        fs::write(self.path("nats.pid"), server.pid().unwrap().to_string()).unwrap();
        let url = server.url();
        fs::write(self.path("nats.port"), url.rsplit(':').next().unwrap()).unwrap();
        server
    }
}

#[test]
fn secrets_are_made_once() {
    let cluster = Cluster::new();
    cluster.secrets(&[]);
    let first = cluster.files();
    let names: Vec<_> = first.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "analytics/nats.nk",
            "auth/nats.nk",
            "nats-authorization/authorization.conf",
            "nats-authorization/route-password",
            "operator/nats.nk",
            "redirector/nats.nk",
            "redirector/visitor-salt",
            "shortener/nats.nk",
        ]
    );
    let password = &first["nats-authorization/route-password"];
    assert!(
        password.len() > 30 && password.iter().all(u8::is_ascii_alphanumeric),
        "{password:?}"
    );
    cluster.secrets(&[]);
    assert_eq!(cluster.files(), first);
}

#[tokio::test]
async fn a_key_is_rotated_in_three_steps() {
    let cluster = Cluster::new();
    cluster.secrets(&[]);
    let _nats = cluster.nats().await;
    let old = cluster.path("old.nk");
    fs::copy(cluster.path("secrets/auth/nats.nk"), &old).unwrap();
    let others = cluster.files();
    cluster.changes();
    cluster.secrets(&["rotate", "auth"]);
    let changes = cluster.changes();
    assert_eq!(changes.split(", ").count(), CHANGES_OF_A_ROTATION);
    assert_eq!(
        changes,
        "store nats-authorization, store auth, reload, restart auth, auth runs, the old auth ends, \
         store auth, store nats-authorization, reload"
    );
    assert!(!cluster.lets_in(&old) && cluster.lets_in(&cluster.path("running.nk")));
    let now = cluster.files();
    let new: Vec<_> = now
        .keys()
        .filter(|name| others.get(*name) != now.get(*name))
        .collect();
    assert_eq!(
        new,
        ["auth/nats.nk", "nats-authorization/authorization.conf"]
    );
    assert_eq!(now.len(), others.len(), "{:?}", now.keys());
}

#[test]
fn a_rotation_that_was_cut_off_is_repaired_by_the_next() {
    thread::scope(|scope| {
        for failing in 1..=CHANGES_OF_A_ROTATION {
            scope.spawn(move || is_repaired(failing));
        }
    });
}

fn is_repaired(failing: usize) {
    let cluster = Cluster::new();
    cluster.secrets(&[]);
    let [running, next] = ["running.nk", "secrets/auth/nats.nk"].map(|name| cluster.path(name));
    fs::copy(&next, &running).unwrap();
    // A server that reads its rights when it is told to; which it has is not looked at here.
    fs::write(cluster.path("nats.pid"), "").unwrap();
    cluster.fail_at(failing);
    assert!(
        !cluster.run(&["rotate", "auth"]).status.success(),
        "{failing}"
    );
    // Who runs stays in, and who starts now comes in.
    assert!(
        cluster.lets_in(&running) && cluster.lets_in(&next),
        "{failing}"
    );
    cluster.fail_at(0);
    cluster.secrets(&["rotate", "auth"]);
    assert!(
        cluster.lets_in(&running) && cluster.lets_in(&next),
        "{failing}"
    );
    let files = cluster.files();
    assert!(!files.contains_key("auth/old.nk"), "{failing}");
    let rights = String::from_utf8_lossy(&files["nats-authorization/authorization.conf"]);
    assert_eq!(rights.matches("nkey:").count(), 5, "{failing}");
}

#[tokio::test]
async fn a_subscriber_is_let_in_and_removed() {
    let cluster = Cluster::new();
    cluster.secrets(&[]);
    let nats = cluster.nats().await;
    // analytics has made the feed.
    let config = BusConfig {
        url: nats.url(),
        credentials: Some(cluster.path("secrets/analytics/nats.nk")),
        replicas: 1,
    };
    let analytics = Bus::connect(&config, "analytics", &Shutdown::new())
        .await
        .unwrap();
    analytics.declare(&streams::FEED).await.unwrap();

    cluster.secrets(&["subscriber", OWNER, "billing"]);
    let seed =
        fs::read_to_string(cluster.path(&format!("secrets/subscribers/{OWNER}.billing"))).unwrap();
    let options = || async_nats::ConnectOptions::with_nkey(seed.trim().to_owned());
    let client = options().connect(nats.url()).await.unwrap();
    let feed = jetstream::with_prefix(client, "KURZ.API")
        .get_stream_no_info("FEED")
        .await
        .unwrap();
    let consumer = format!("billing-{OWNER}");
    let found: jetstream::consumer::PullConsumer = feed.get_consumer(&consumer).await.unwrap();
    assert_eq!(
        found.cached_info().config.filter_subject,
        format!("feed.v1.{OWNER}.>")
    );

    // Another run keeps it.
    cluster.secrets(&[]);
    assert!(options().connect(nats.url()).await.is_ok());
    cluster.secrets(&["subscriber", OWNER, "billing", "--remove"]);
    assert!(options().connect(nats.url()).await.is_err());
    assert!(
        !cluster
            .files()
            .keys()
            .any(|name| name.starts_with("subscribers/"))
    );
}

#[test]
fn images_are_pinned_to_what_the_registry_has() {
    let cluster = Cluster::new();
    let copy = Command::new("cp")
        .arg("-r")
        .arg(repository().join("k8s"))
        .arg(cluster.0.path())
        .status();
    assert!(copy.unwrap().success());
    let site = cluster.path("k8s/overlays/production/site/kustomization.yaml");
    let before = fs::read_to_string(&site).unwrap();
    let pin = |crane: &str| {
        let program = cluster.path("bin/crane");
        fs::write(&program, format!("#!/bin/sh\n{crane}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut script = cluster.command(&cluster.path("k8s/pin-images.sh"));
        script
            .args(["registry.test/team/kurz", "0.1.0"])
            .output()
            .unwrap()
    };

    // What is no digest changes nothing.
    for crane in ["exit 1", "echo latest"] {
        assert!(!pin(crane).status.success(), "{crane}");
        assert_eq!(fs::read_to_string(&site).unwrap(), before);
    }
    let digest = "echo \"$2\" >>\"$CLUSTER/asked\"; printf 'sha256:%s\\n' \"$(printf %s \"$2\" | sha256sum | cut -c1-64)\"";
    for _ in 0..2 {
        let run = pin(digest);
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
    }
    let after = fs::read_to_string(&site).unwrap();
    let head = |text: &str| text.split("\nimages:\n").next().unwrap().to_owned();
    assert_eq!(head(&after), head(&before));
    let asked = fs::read_to_string(cluster.path("asked")).unwrap();
    let asked: Vec<_> = asked.lines().take(5).collect();
    assert_eq!(asked[4], "docker.io/library/nats:2.15.1-alpine");
    assert!(asked[..4].iter().all(|image| image.starts_with("registry.test/team/kurz/") && image.ends_with(":0.1.0")));

    let mut kustomize = Command::new(tool("kustomize"));
    let overlay = cluster.path("k8s/overlays/production");
    let rendered = kustomize.arg("build").arg(overlay).output().unwrap();
    let rendered = String::from_utf8(rendered.stdout).unwrap();
    let images: Vec<_> = rendered
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "))
        .collect();
    assert_eq!(images.len(), 5);
    for image in images {
        assert!(
            image.contains("@sha256:") && !image.contains(&"0".repeat(64)),
            "{image}"
        );
    }
}
