//! The nats-servers as they are rendered, and the four services with their rendered environment on them.
//!
//! A manifest speaks of fixed paths, ports and names. What they are on this machine is in `Place::here`, and nowhere
//! else: everything that is not replaced there is what the cluster gets.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use async_nats::jetstream;
use chassis::testing::{Folder, eventually};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::program::{self, Process};
use crate::rendering::{Rendering, list, rendering, text};

const PASSWORD: &str = "PasswordBetweenServers";

/// kurz as it is rendered, on this machine.
struct Place {
    kurz: &'static Rendering,
    folder: Folder,
    servers: Vec<Server>,
    /// What each service listens on: public, admin.
    listeners: BTreeMap<&'static str, (String, String)>,
    running: Vec<Process>,
    client: Client,
}

/// A nats-server.
struct Server {
    process: Option<Process>,
    folder: PathBuf,
    client: String,
    cluster: String,
    monitor: String,
}

/// An address of this machine that nobody listens on.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

impl Place {
    /// Makes the secrets as `k8s/secrets.sh` does, and starts nothing.
    fn new(name: &str) -> Self {
        let kurz = rendering(name);
        let folder = Folder::new();
        let secrets = folder.path().join("secrets");
        let made = program::command("kurz")
            .arg("secrets")
            .arg(&secrets)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        fs::write(secrets.join("nats/route-password"), PASSWORD).unwrap();
        let replicas = &kurz.workload("nats").unwrap().object["spec"]["replicas"];
        let servers = (0..replicas.as_u64().unwrap()).map(|number| {
            let folder = folder.path().join(format!("nats-{number}"));
            Server {
                process: None,
                folder,
                client: free(),
                cluster: free(),
                monitor: free(),
            }
        });
        let servers = servers.collect();
        let listeners =
            ["auth", "shortener", "redirector", "analytics"].map(|name| (name, (free(), free())));
        let client = Client::builder().redirect(reqwest::redirect::Policy::none());
        Self {
            kurz,
            folder,
            servers,
            listeners: listeners.into(),
            running: Vec::new(),
            client: client.build().unwrap(),
        }
    }

    /// What a manifest says, on this machine. `owner` is who has the file or variable.
    fn here(&self, owner: &str, text: &str) -> String {
        let own = self.folder.path().join(owner).display().to_string();
        let secrets = self
            .folder
            .path()
            .join("secrets")
            .join(owner)
            .display()
            .to_string();
        let mut text = text.to_owned();
        let mut replace = |from: &str, to: &str| text = text.replace(from, to);
        if let Some(server) = self
            .servers
            .iter()
            .find(|server| server.folder.ends_with(owner))
        {
            replace("0.0.0.0:4222", &server.client);
            replace("0.0.0.0:6222", &server.cluster);
            replace("0.0.0.0:8222", &server.monitor);
            replace("\"/run/nats/", &format!("\"{own}/"));
            for (number, server) in self.servers.iter().enumerate() {
                replace(&format!("nats-{number}.nats-servers:6222"), &server.cluster);
            }
        } else {
            let (public, admin) = &self.listeners[owner];
            replace("0.0.0.0:8080", public);
            replace("0.0.0.0:9090", admin);
            replace(
                "http://auth:8080",
                &format!("http://{}", self.listeners["auth"].0),
            );
            // The Service stands for all servers.
            let servers = self
                .servers
                .iter()
                .map(|server| format!("nats://{}", server.client));
            replace("nats://nats:4222", &servers.collect::<Vec<_>>().join(","));
        }
        if let Some(file) = text.strip_prefix("/secrets/") {
            return format!("{secrets}/{file}");
        }
        for folder in ["/data", "/spool", "/backups"] {
            if text.starts_with(folder) {
                return format!("{own}{text}");
            }
            text = text.replace(&format!("\"{folder}\""), &format!("\"{own}{folder}\""));
        }
        text
    }

    /// Starts one nats-server as its pod would.
    fn start_server(&mut self, number: usize, password: &str) {
        let folder = self.servers[number].folder.clone();
        let owner = format!("nats-{number}");
        let authorization = folder.join("authorization");
        fs::create_dir_all(&authorization).unwrap();
        let rights = self.folder.path().join("secrets/nats/authorization.conf");
        fs::copy(rights, authorization.join("authorization.conf")).unwrap();
        let map = self.kurz.find("ConfigMap", "nats").unwrap();
        for (name, content) in map["data"].as_object().unwrap() {
            fs::write(folder.join(name), self.here(&owner, text(content))).unwrap();
        }
        let pod = self.kurz.workload("nats").unwrap();
        let container = &pod.spec()["containers"][0];
        let mut command = Command::new(nats_server());
        command
            .env_clear()
            .arg("--config")
            .arg(folder.join("nats.conf"));
        for variable in list(&container["env"]) {
            let value = match &variable["valueFrom"] {
                Value::Null => text(&variable["value"]).replace("$(ROUTE_PASSWORD)", password),
                from if from["fieldRef"]["fieldPath"] == "metadata.name" => owner.clone(),
                from if from["secretKeyRef"]["key"] == "route-password" => password.to_owned(),
                other => panic!("what is {other}?"),
            };
            command.env(text(&variable["name"]), self.here(&owner, &value));
        }
        let process = Process::start(&mut command, &folder.join("log"));
        self.servers[number].process = Some(process);
    }

    fn start_service(&mut self, name: &'static str) {
        let folder = self.folder.path().join(name);
        for part in ["data", "spool", "backups"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let pod = self.kurz.workload(name).unwrap();
        let settings = pod.settings(self.kurz);
        let settings = settings
            .iter()
            .map(|(key, value)| (*key, self.here(name, value)));
        let mut command = program::command(name);
        command.envs(settings);
        self.running
            .push(Process::start(&mut command, &folder.join("log")));
    }

    /// Starts everything, and waits until each is ready as its probe sees it.
    async fn start(&mut self) {
        for number in 0..self.servers.len() {
            self.start_server(number, PASSWORD);
        }
        for server in &self.servers {
            self.answers(
                &format!("http://{}/healthz?js-server-only=true", server.monitor),
                &server.folder,
            )
            .await;
        }
        for name in ["auth", "shortener", "analytics", "redirector"] {
            self.start_service(name);
        }
        for (name, (_, admin)) in &self.listeners {
            self.answers(
                &format!("http://{admin}/health/ready"),
                &self.folder.path().join(name),
            )
            .await;
        }
    }

    async fn answers(&self, url: &str, folder: &Path) {
        for _ in 0..3 {
            let waiting = eventually(|| async {
                let answer = self.client.get(url).send().await.ok()?;
                (answer.status() == StatusCode::OK).then_some(())
            });
            if tokio::time::timeout(std::time::Duration::from_secs(15), waiting)
                .await
                .is_ok()
            {
                return;
            }
        }
        panic!(
            "{url}: {}",
            fs::read_to_string(folder.join("log")).unwrap_or_default()
        );
    }

    fn url(&self, service: &str, path: &str) -> String {
        format!("http://{}{path}", self.listeners[service].0)
    }

    async fn post(&self, url: String, token: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self
            .client
            .post(url)
            .bearer_auth(token)
            .json(body)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    /// Makes an account, and a link with the code `rust`; the account's token.
    async fn link(&self) -> String {
        let ada = json!({ "username": "ada", "password": "correct horse battery staple" });
        self.post(self.url("auth", "/auth/users"), "", &ada).await;
        let (_, tokens) = self.post(self.url("auth", "/auth/tokens"), "", &ada).await;
        let token = text(&tokens["access_token"]).to_owned();
        let link = json!({ "url": "https://www.rust-lang.org/", "code": "rust" });
        let (made, _) = self
            .post(self.url("shortener", "/shortener/links"), &token, &link)
            .await;
        assert_eq!(made, StatusCode::CREATED);
        token
    }

    /// Follows the link once it is there, and waits until this many clicks are counted.
    async fn click(&self, token: &str, clicks: u64) {
        let url = self.url("redirector", "/rust");
        eventually(|| async {
            let visit = self.client.get(&url).send().await.unwrap();
            (visit.status() == StatusCode::FOUND).then_some(())
        })
        .await;
        let statistics = self.url("analytics", "/analytics/links/rust");
        eventually(|| async {
            let answer = self
                .client
                .get(&statistics)
                .bearer_auth(token)
                .send()
                .await
                .ok()?;
            let totals: Value = answer.json().await.ok()?;
            (totals["clicks"] == clicks).then_some(())
        })
        .await;
    }

    /// What nobody but `kurz secrets` lets in and nobody but its owner may do.
    async fn is_guarded(&self) {
        let url = format!("nats://{}", self.servers[0].client);
        assert!(
            async_nats::connect(&url).await.is_err(),
            "nobody needs a key"
        );
        let seed = fs::read_to_string(self.folder.path().join("secrets/auth/nats.nk")).unwrap();
        let options =
            async_nats::ConnectOptions::with_nkey(seed).custom_inbox_prefix("_INBOX_auth");
        let auth = options.connect(&url).await.unwrap();
        auth.publish("clicks.v1.0.x", "".into()).await.unwrap();
        auth.flush().await.unwrap();
        eventually(|| async {
            let refused = self.log(0).contains("Publish Violation");
            refused.then_some(())
        })
        .await;
    }

    /// How many replicas each stream has, as the operator sees it.
    async fn replicas(&self) -> BTreeMap<&'static str, usize> {
        let seed = fs::read_to_string(self.folder.path().join("secrets/operator/nats.nk")).unwrap();
        let url = format!("nats://{}", self.servers[0].client);
        let operator = async_nats::ConnectOptions::with_nkey(seed)
            .connect(&url)
            .await
            .unwrap();
        let jetstream = jetstream::new(operator);
        let mut replicas = BTreeMap::new();
        for stream in events::streams::ALL {
            // A server that has just heard of a stream may not know it yet.
            let found = eventually(|| async { jetstream.get_stream(stream.name).await.ok() }).await;
            replicas.insert(stream.name, found.cached_info().config.num_replicas);
        }
        replicas
    }

    fn log(&self, server: usize) -> String {
        fs::read_to_string(self.servers[server].folder.join("log")).unwrap()
    }

    /// The names of the servers that this one has routes to.
    async fn routes(&self, server: usize) -> Vec<String> {
        let url = format!("http://{}/routez", self.servers[server].monitor);
        let Ok(answer) = self.client.get(url).send().await else {
            return Vec::new();
        };
        let routes: Value = answer.json().await.unwrap();
        let mut names: Vec<_> = list(&routes["routes"])
            .iter()
            .map(|route| text(&route["remote_name"]).to_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
fn nats_server() -> PathBuf {
    std::env::var_os("KURZ_NATS_SERVER").map_or_else(|| "nats-server".into(), PathBuf::from)
}

#[tokio::test]
async fn the_cluster_of_production_counts_clicks_also_when_a_server_dies() {
    let mut place = Place::new("production");
    place.start().await;
    let token = place.link().await;
    place.click(&token, 1).await;
    let replicas = place.replicas().await;
    assert!(
        replicas.values().all(|replicas| *replicas == 3),
        "{replicas:?}"
    );
    let log: String = (0..3).map(|server| place.log(server)).collect();
    assert!(!log.contains("Violation"), "{log}");
    place.servers[2].process.as_mut().unwrap().kill();
    place.click(&token, 2).await;
    place.is_guarded().await;
}

#[tokio::test]
async fn the_single_server_of_the_local_overlay_counts_clicks() {
    let mut place = Place::new("local");
    place.start().await;
    let token = place.link().await;
    place.click(&token, 1).await;
    let replicas = place.replicas().await;
    assert!(
        replicas.values().all(|replicas| *replicas == 1),
        "{replicas:?}"
    );
    place.is_guarded().await;
}

#[tokio::test]
async fn a_server_with_a_wrong_password_does_not_join() {
    let mut place = Place::new("production");
    place.start_server(0, PASSWORD);
    place.start_server(1, PASSWORD);
    eventually(|| async { (place.routes(0).await == ["nats-1"]).then_some(()) }).await;
    place.start_server(2, "AnotherPassword");
    for server in 0..2 {
        eventually(|| async {
            place
                .log(server)
                .contains("authentication error")
                .then_some(())
        })
        .await;
        assert!(!place.routes(server).await.contains(&"nats-2".to_owned()));
    }
    // With the right one it does.
    place.servers[2].process = None;
    place.start_server(2, PASSWORD);
    eventually(|| async { (place.routes(0).await == ["nats-1", "nats-2"]).then_some(()) }).await;
}
