use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use async_nats::jetstream;
use chassis::testing::{Folder, Issuer, NatsServer, PUBLIC_URL, eventually};
use e2e::crash::free_address;
use events::{Click, ClickBatch, Hints, Partition, subjects};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::disk::Disk;

/// This program is a service when it is called by the name of one.
const SERVICE: &str = env!("CARGO_BIN_EXE_crash");

/// The exit code of a process whose database failed.
pub const DATABASE_FAILED: i32 = 74;

/// The services that have a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Auth,
    Shortener,
    Analytics,
}

impl Service {
    pub const ALL: [Self; 3] = [Self::Auth, Self::Shortener, Self::Analytics];

    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Shortener => "shortener",
            Self::Analytics => "analytics",
        }
    }
}

/// A service with its database, started and ended as often as need be.
pub struct Bench {
    pub service: Service,
    pub profile: &'static str,
    pub disk: Disk,
    pub database: PathBuf,
    pub owner: Uuid,
    issuer: Issuer,
    nats: NatsServer,
    link: Uuid,
    spool: Uuid,
    // Last: it goes after what is in it.
    _folder: Folder,
}

/// A process that runs; it ends with its value.
pub struct Program {
    child: Child,
    log: PathBuf,
    url: String,
    admin: String,
    token: String,
}

impl Bench {
    pub async fn new(service: Service, profile: &'static str) -> Self {
        let folder = Folder::new();
        let database = folder.path().join("test.db");
        Self {
            service,
            profile,
            disk: Disk::new(&database),
            database,
            owner: Uuid::now_v7(),
            issuer: Issuer::start().await,
            nats: NatsServer::start().await,
            link: Uuid::now_v7(),
            spool: Uuid::now_v7(),
            _folder: folder,
        }
    }

    /// Starts a process on the database, which may have to wait or may refuse.
    pub fn spawn(&self) -> Program {
        let (public, admin) = (free_address().unwrap(), free_address().unwrap());
        let log = self
            .database
            .with_extension(format!("{}.log", public.port()));
        let mut command = Command::new(SERVICE);
        command
            .arg0(self.service.name())
            .env("KURZ_LISTEN", public.to_string())
            .env("KURZ_ADMIN_LISTEN", admin.to_string())
            .env("KURZ_PUBLIC_URL", PUBLIC_URL)
            .env("KURZ_NATS_URL", self.nats.url())
            .env("KURZ_DATABASE", &self.database)
            .env("KURZ_DATABASE_PROFILE", self.profile)
            .env("KURZ_JWKS_URL", self.issuer.jwks_url().as_str())
            .envs(self.disk.variables())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        let base = |address: SocketAddr| format!("http://{address}");
        Program {
            child: command.spawn().unwrap(),
            log,
            url: base(public),
            admin: base(admin),
            token: self.issuer.token(self.owner),
        }
    }

    /// Starts a process and waits until it serves.
    pub async fn start(&self) -> Program {
        let program = self.spawn();
        program.ready().await;
        program
    }

    /// Makes the service write something that is told by its number. Of analytics nobody learns
    /// when that is done.
    pub async fn write(&self, program: &Program, number: u64) -> Option<Response> {
        let sent = self.try_write(program, number).await?;
        Some(sent.unwrap())
    }

    /// The same, to a process that may have ended: it also writes by itself.
    pub async fn try_write(
        &self,
        program: &Program,
        number: u64,
    ) -> Option<reqwest::Result<Response>> {
        let request = match self.service {
            Service::Auth => program.post("/auth/users").json(&credentials(number)),
            Service::Shortener => {
                let link = json!({ "code": code(number), "url": "https://example.org/" });
                program.post("/shortener/links").json(&link)
            }
            Service::Analytics => {
                self.click(number).await;
                return None;
            }
        };
        Some(request.send().await)
    }

    /// Writes and waits until the service has confirmed it.
    pub async fn write_well(&self, program: &Program, number: u64) {
        match self.write(program, number).await {
            Some(answer) => assert_eq!(answer.status(), StatusCode::CREATED),
            None => self.counted(program, number + 1).await,
        }
    }

    /// Whether what was written under this number is there, and, for clicks, no other.
    pub async fn has(&self, program: &Program, number: u64) -> bool {
        let answer = match self.service {
            Service::Auth => program.post("/auth/tokens").json(&credentials(number)),
            Service::Shortener => program.get(&format!("/shortener/links/{}", code(number))),
            Service::Analytics => return self.clicks(program).await > number,
        };
        answer.send().await.unwrap().status() == StatusCode::OK
    }

    /// Asks something that is in the database only; nothing if the process has ended already.
    pub async fn read(&self, program: &Program) -> Option<StatusCode> {
        let asked = match self.service {
            Service::Auth => program.post("/auth/tokens").json(&credentials(0)),
            Service::Shortener => program.get("/shortener/links"),
            Service::Analytics => program.get("/analytics/summary"),
        };
        Some(asked.send().await.ok()?.status())
    }

    /// Waits until this many clicks are counted, and no more.
    pub async fn counted(&self, program: &Program, clicks: u64) {
        eventually(|| async { (self.clicks(program).await >= clicks).then_some(()) }).await;
        assert_eq!(self.clicks(program).await, clicks);
    }

    /// How many clicks of its owner are counted.
    pub async fn clicks(&self, program: &Program) -> u64 {
        let answer = program.get("/analytics/summary").send().await.unwrap();
        let summary: Value = answer.json().await.unwrap();
        summary["clicks"].as_u64().unwrap_or_default()
    }

    /// Publishes one click, as a redirector does.
    async fn click(&self, number: u64) {
        let click = Click {
            link_id: self.link,
            owner_id: self.owner,
            code: "rust".into(),
            at_ms: 1_772_366_400_000 + i64::try_from(number).unwrap(),
            hints: Hints::NONE,
            referrer: "news.example".into(),
            user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0".into(),
            language: "de".into(),
            country: None,
            visitor: number,
        };
        let batch = ClickBatch {
            spool: self.spool,
            first: number,
            clicks: vec![click],
        };
        let client = async_nats::connect(self.nats.url()).await.unwrap();
        let (stream, payload) = (jetstream::new(client), batch.encode());
        eventually(|| async {
            let subject = subjects::clicks(Partition::WHOLE, self.spool);
            // The stream may not be declared yet.
            let published = stream.publish(subject, payload.clone().into()).await.ok()?;
            published.await.ok()
        })
        .await;
    }
}

impl Program {
    /// Waits until it serves.
    pub async fn ready(&self) {
        eventually(|| async { self.health().await.filter(|text| text == "ready\n") }).await;
    }

    /// What its admin listener says, if it answers.
    pub async fn health(&self) -> Option<String> {
        let url = format!("{}/health/ready", self.admin);
        Client::new().get(url).send().await.ok()?.text().await.ok()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let mut status = None;
        eventually(|| {
            status = child.try_wait().unwrap();
            std::future::ready(status)
        })
        .await
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; how it ended.
    pub async fn terminate(mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.ended().await
    }

    fn get(&self, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url);
        Client::new().get(url).bearer_auth(&self.token)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url);
        Client::new().post(url).bearer_auth(&self.token)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn credentials(number: u64) -> Value {
    json!({ "username": format!("user{number}"), "password": "correct horse battery staple" })
}

fn code(number: u64) -> String {
    format!("code{number}")
}

/// That the process ended because its database failed, and says which, why, and what to do.
pub async fn fails_with(program: &mut Program, database: &Path, words: &[&str]) {
    let status = program.ended().await;
    let log = program.log();
    assert_eq!(status.code(), Some(DATABASE_FAILED), "{log}");
    let common = [database.to_str().unwrap(), "docs/operations.md"];
    let words: Vec<_> = common.iter().chain(words).collect();
    let says = |line: &str| words.iter().all(|word| line.contains(**word));
    assert!(log.lines().any(says), "no line has {words:?}:\n{log}");
}
