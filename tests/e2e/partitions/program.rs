//! The processes, whoever owns links, and their visitors.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use async_nats::jetstream;
use chassis::clock::Clock;
use chassis::env::Env;
use chassis::service::Service;
use chassis::testing::{Folder, Issuer, NatsServer, PUBLIC_URL, Running, eventually};
use e2e::crash::free_address;
use e2e::{Redirector, visit};
use events::{Click, ClickBatch, Hints, Partition, streams, subjects};
use futures_util::TryStreamExt as _;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use uuid::Uuid;

/// How many partitions there are.
pub const COUNT: u32 = 3;

/// This program is a service when it is called by the name of one.
const SERVICE: &str = env!("CARGO_BIN_EXE_crash");

/// What docs/operations.md gives to sqlite3.
const DIVIDE: &str = include_str!("../../../docs/examples/divide.sql");

/// Everything but analytics, and where its processes will be.
pub struct Bench {
    nats: NatsServer,
    issuer: Issuer,
    shortener: Running<shortener::App>,
    redirector: Redirector,
    /// One port, at 127.0.0.10, 127.0.0.11 and so on.
    addresses: Vec<SocketAddr>,
    folder: Folder,
}

/// Somebody with one link.
pub struct Owner {
    pub id: Uuid,
    pub partition: Partition,
    token: String,
    code: String,
}

/// A process that runs; it ends with its value.
pub struct Program {
    child: Child,
    log: PathBuf,
    url: String,
    admin: String,
}

/// A live stream.
pub struct Live {
    response: Response,
    text: String,
}

impl Bench {
    pub async fn start() -> Self {
        let (nats, folder) = (NatsServer::start().await, Folder::new());
        let issuer = Issuer::start().await;
        let shortener = run(&nats, &issuer, &folder, COUNT).await;
        let redirector = run(&nats, &issuer, &folder, COUNT).await;
        Self {
            nats,
            issuer,
            shortener,
            redirector,
            addresses: addresses(),
            folder,
        }
    }

    /// Starts all partitions, and waits until they and the others are ready.
    pub async fn all(&self) -> Vec<Program> {
        let programs: Vec<_> = Partition::all(COUNT)
            .map(|partition| self.spawn(partition, self.database(partition), self.pattern()))
            .collect();
        for program in &programs {
            program.ready().await;
        }
        self.shortener.ready().await;
        self.redirector.ready().await;
        programs
    }

    /// Starts one, and waits until it is ready.
    pub async fn begin(&self, partition: Partition) -> Program {
        let program = self.spawn(partition, self.database(partition), self.pattern());
        program.ready().await;
        program
    }

    /// Starts the one that has every account, and waits until all are ready.
    pub async fn undivided(&self) -> Program {
        let program = self.spawn(Partition::WHOLE, self.whole(), self.pattern());
        program.ready().await;
        self.shortener.ready().await;
        self.redirector.ready().await;
        program
    }

    /// A redirector that knows of no partitions.
    pub async fn undivided_redirector(&self) -> Redirector {
        let redirector: Redirector = run(&self.nats, &self.issuer, &self.folder, 1).await;
        redirector.ready().await;
        redirector
    }

    /// Makes the database of a partition out of the one that had every account.
    pub fn divide(&self, partition: Partition) {
        let path = self.database(partition);
        fs::copy(self.whole(), &path).unwrap();
        let statements = DIVIDE
            .replace(":number", &partition.number().to_string())
            .replace(":of", &partition.of().to_string());
        let database = Connection::open(path).unwrap();
        database.execute_batch(&statements).unwrap();
    }

    fn whole(&self) -> PathBuf {
        self.folder.path().join("clicks.db")
    }

    pub async fn delete_streams(&self, names: &[&str]) {
        for name in names {
            self.jetstream().await.delete_stream(name).await.unwrap();
        }
    }

    /// Starts one that looks for the others at `urls`.
    pub async fn begin_with(&self, partition: Partition, urls: String) -> Program {
        let program = self.spawn(partition, self.database(partition), urls);
        program.ready().await;
        program
    }

    /// Starts one of another division, on the database of a partition or on a new one.
    pub fn refused(&self, database: Option<Partition>, partition: Partition) -> Program {
        let database = database.map_or_else(
            || self.folder.path().join(format!("{}.db", Uuid::now_v7())),
            |partition| self.database(partition),
        );
        self.spawn(partition, database, self.pattern())
    }

    pub fn database(&self, partition: Partition) -> PathBuf {
        let name = format!("clicks-{}.db", partition.number());
        self.folder.path().join(name)
    }

    fn pattern(&self) -> String {
        format!("http://127.0.0.1{{partition}}:{}", self.port())
    }

    pub fn port(&self) -> u16 {
        self.addresses[0].port()
    }

    fn spawn(&self, partition: Partition, database: PathBuf, urls: String) -> Program {
        let public = match self.addresses.get(partition.number() as usize) {
            Some(address) => *address,
            None => free_address().unwrap(),
        };
        let admin = free_address().unwrap();
        let log = self.folder.path().join(format!("{}.log", Uuid::now_v7()));
        let mut command = Command::new(SERVICE);
        command
            .arg0("analytics")
            .env("KURZ_LISTEN", public.to_string())
            .env("KURZ_ADMIN_LISTEN", admin.to_string())
            .env("KURZ_PUBLIC_URL", PUBLIC_URL)
            .env("KURZ_NATS_URL", self.nats.url())
            .env("KURZ_DATABASE", database)
            .env("KURZ_JWKS_URL", self.issuer.jwks_url().as_str())
            .env("KURZ_PARTITIONS", partition.of().to_string())
            .env("KURZ_PARTITION", partition.number().to_string())
            .env("KURZ_PARTITION_URLS", urls)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        Program {
            child: command.spawn().unwrap(),
            log,
            url: format!("http://{public}"),
            admin: format!("http://{admin}"),
        }
    }

    /// So many in each partition, each with a link; the first ones are in partition 0, 1, 2.
    pub async fn owners(&self, each: usize) -> Vec<Owner> {
        let mut owners = Vec::new();
        for partition in (0..each).flat_map(|_| Partition::all(COUNT)) {
            let mut ids = std::iter::repeat_with(Uuid::now_v7);
            let id = ids.find(|&id| partition.holds(id)).unwrap();
            let owner = Owner {
                id,
                partition,
                token: self.issuer.token(id),
                code: format!("code-{}", owners.len()),
            };
            self.make_link(&owner, &owner.code).await;
            owners.push(owner);
        }
        owners
    }

    async fn make_link(&self, owner: &Owner, code: &str) {
        let made = Client::new()
            .post(format!("{}/shortener/links", self.shortener.url))
            .bearer_auth(&owner.token)
            .json(&json!({ "code": code, "url": "https://example.org/" }))
            .send()
            .await
            .unwrap();
        assert_eq!(made.status(), StatusCode::CREATED);
    }

    /// One deletes its link, and another one takes the code.
    pub async fn move_code(&self, from: &Owner, to: &Owner) {
        let url = format!("{}/shortener/links/{}", self.shortener.url, from.code);
        let request = Client::new().delete(url).bearer_auth(&from.token);
        let deleted = request.send().await.unwrap();
        assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
        self.make_link(to, &from.code).await;
    }

    /// Waits until this process says that the owner has so many links.
    pub async fn has_links(&self, program: &Program, owner: &Owner, count: u64) {
        eventually(|| async {
            let answer = program.get(owner, "/summary").send().await.ok()?;
            let summary: Value = answer.json().await.ok()?;
            (summary["links"] == count).then_some(())
        })
        .await;
    }

    /// Follows the owner's link so often.
    pub async fn visit(&self, owner: &Owner, times: usize) {
        self.visit_at(&self.redirector, owner, times).await;
    }

    /// The same at another redirector.
    pub async fn visit_at(&self, redirector: &Redirector, owner: &Owner, times: usize) {
        eventually(|| async {
            // A prefetch is no click.
            let request = Client::builder().redirect(reqwest::redirect::Policy::none());
            let url = format!("{}/{}", redirector.url, owner.code);
            let request = request.build().unwrap().get(url);
            let answer = request
                .header("sec-purpose", "prefetch")
                .send()
                .await
                .ok()?;
            (answer.status() == StatusCode::FOUND).then_some(())
        })
        .await;
        for _ in 0..times {
            let answer = visit(redirector, &owner.code).await;
            assert_eq!(answer.status(), StatusCode::FOUND);
        }
    }

    /// Waits until this process says that so many clicks of the owner are counted, and no more.
    pub async fn counted(&self, program: &Program, owner: &Owner, clicks: usize) {
        let ask = async || -> Option<u64> {
            let answer = program.get(owner, "/summary").send().await.ok()?;
            answer.json::<Value>().await.ok()?["clicks"].as_u64()
        };
        eventually(|| async { (ask().await? >= clicks as u64).then_some(()) }).await;
        assert_eq!(ask().await, Some(clicks as u64));
    }

    /// Publishes a click on the owner's link where the clicks of another partition are.
    pub async fn publish_for(&self, owner: &Owner, partition: Partition) {
        let click = Click {
            link_id: Uuid::now_v7(),
            owner_id: owner.id,
            code: owner.code.as_str().into(),
            at_ms: Clock::system().now_ms(),
            hints: Hints::NONE,
            referrer: "".into(),
            user_agent: "".into(),
            language: "".into(),
            country: None,
            visitor: 1,
        };
        let batch = ClickBatch {
            spool: Uuid::now_v7(),
            first: 0,
            clicks: vec![click],
        };
        let subject = subjects::clicks(partition, batch.spool);
        let jetstream = self.jetstream().await;
        let published = jetstream.publish(subject, batch.encode().into()).await;
        published.unwrap().await.unwrap();
    }

    /// How many messages the feed of the owner has for people's visits.
    pub async fn fed(&self, owner: &Owner) -> usize {
        let name = streams::FEED.name_in(owner.partition);
        let stream = self.jetstream().await.get_stream(&*name).await.unwrap();
        let subject = subjects::feed(owner.partition, owner.id, &owner.code);
        let mut last = 0;
        let mut count = 0;
        while let Ok(message) = stream
            .get_first_raw_message_by_subject(&*subject, last + 1)
            .await
        {
            last = message.sequence;
            let click: Value = serde_json::from_slice(&message.payload).unwrap();
            count += usize::from(click["kind"] == "human");
        }
        count
    }

    /// The names of all streams.
    pub async fn streams(&self) -> BTreeSet<String> {
        let jetstream = self.jetstream().await;
        jetstream.stream_names().try_collect().await.unwrap()
    }

    async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(self.nats.url()).await.unwrap())
    }
}

impl Program {
    async fn ready(&self) {
        let url = format!("{}/health/ready", self.admin);
        eventually(|| async {
            let text = Client::new()
                .get(&url)
                .send()
                .await
                .ok()?
                .text()
                .await
                .ok()?;
            (text == "ready\n").then_some(())
        })
        .await;
    }

    pub fn get(&self, owner: &Owner, path: &str) -> RequestBuilder {
        let url = format!("{}/analytics{path}", self.url);
        Client::new().get(url).bearer_auth(&owner.token)
    }

    pub fn put(&self, owner: &Owner, path: &str) -> RequestBuilder {
        let url = format!("{}/analytics{path}", self.url);
        Client::new().put(url).bearer_auth(&owner.token)
    }

    /// Asked by somebody without a token of ours.
    pub async fn stranger(&self, path: &str) -> Response {
        let url = format!("{}/analytics{path}", self.url);
        let request = Client::new().get(url).bearer_auth("nobody's");
        request.send().await.unwrap()
    }

    pub async fn dead_letters(&self) -> String {
        let request = Client::new().post(format!("{}/dead/list", self.admin));
        request.send().await.unwrap().text().await.unwrap()
    }

    pub async fn audit(&self) -> (StatusCode, String) {
        let request = Client::new().post(format!("{}/audit", self.admin));
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    pub async fn watch(&self, owner: &Owner) -> Live {
        Live::of(self.get(owner, "/stream").send().await.unwrap()).await
    }

    pub async fn ticket(&self, owner: &Owner) -> String {
        let url = format!("{}/analytics/stream/tickets", self.url);
        let request = Client::new().post(url).bearer_auth(&owner.token);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let ticket: Value = answer.json().await.unwrap();
        ticket["ticket"].as_str().unwrap().to_owned()
    }

    pub async fn redeem(&self, ticket: &str) -> Live {
        Live::of(self.try_redeem(ticket).await).await
    }

    pub async fn try_redeem(&self, ticket: &str) -> Response {
        let url = format!("{}/analytics/stream?ticket={ticket}", self.url);
        Client::new().get(url).send().await.unwrap()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually(|| std::future::ready(child.try_wait().unwrap())).await
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
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Live {
    /// Once its first comment has come: from then on it misses nothing.
    async fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut live = Self {
            response,
            text: String::new(),
        };
        while !live.text.contains("\n\n") {
            assert!(live.more().await, "it ended: {}", live.text);
        }
        live
    }

    async fn more(&mut self) -> bool {
        let Ok(Some(bytes)) = self.response.chunk().await else {
            return false;
        };
        self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        true
    }

    /// Waits for so many clicks of people.
    pub async fn clicks(&mut self, count: usize) {
        while self.text.matches("\"kind\":\"human\"").count() < count {
            assert!(self.more().await, "it ended: {}", self.text);
        }
        assert_eq!(self.text.matches("\"kind\":\"human\"").count(), count);
    }

    /// Waits until it ends.
    pub async fn ended(mut self) {
        while self.more().await {}
    }
}

/// One port that is free at the address of each partition.
fn addresses() -> Vec<SocketAddr> {
    let at = |number: u32, port| {
        let last = u8::try_from(10 + number).unwrap();
        SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port))
    };
    loop {
        let first = TcpListener::bind(at(0, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let others: Result<Vec<_>, _> = (1..COUNT)
            .map(|number| TcpListener::bind(at(number, port)))
            .collect();
        if others.is_ok() {
            return (0..COUNT).map(|number| at(number, port)).collect();
        }
    }
}

/// Starts a service configured as in production: through its environment.
async fn run<S: Service>(
    nats: &NatsServer,
    issuer: &Issuer,
    folder: &Folder,
    partitions: u32,
) -> Running<S> {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let pairs = [
        ("KURZ_DATABASE", path("links.db")),
        ("KURZ_SPOOL", path(&format!("spool-{partitions}"))),
        ("KURZ_JWKS_URL", issuer.jwks_url().to_string()),
        ("KURZ_VISITOR_SALT", "a salt for tests only".to_owned()),
        ("KURZ_PARTITIONS", partitions.to_string()),
    ];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
    let mut env = Env::from_pairs(S::NAME, pairs);
    let config = S::config(&mut env);
    let config = env.finish(config).expect("the configuration has no fault");
    Running::start(config, nats, Clock::system()).await
}
