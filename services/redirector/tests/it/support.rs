//! A redirector on a bus of its own, with links put into the bucket as the shortener does.

use std::net::SocketAddr;
use std::time::Duration;

use async_nats::HeaderMap;
use chassis::bus::{Bus, BusConfig, Start};
use chassis::client_address::TrustedProxies;
use chassis::clock::Clock;
use chassis::env::Env;
use chassis::service::Service as _;
use chassis::shutdown::Shutdown;
use chassis::testing::{Folder, NatsServer, Running, eventually};
use events::{Click, ClickBatch, LinkRecord, LinkState, streams, subjects};
use jiff::Timestamp;
use redirector::{App, Config};
use reqwest::{Response, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

/// The time at which every stage begins.
pub const NOW: &str = "2026-11-24T12:00:00Z";

/// What a redirector stands on.
pub struct Stage {
    pub nats: NatsServer,
    pub bus: Bus,
    pub folder: Folder,
    pub clock: Clock,
    pub snapshot_wait: Duration,
}

impl Stage {
    /// A bus with the streams that others own, and an empty folder.
    pub async fn new() -> Self {
        let stage = Self::without_streams().await;
        stage.bus.declare(&streams::LINKS).await.unwrap();
        stage.bus.declare(&streams::CLICKS).await.unwrap();
        stage
    }

    /// A bus with nothing on it.
    pub async fn without_streams() -> Self {
        let nats = NatsServer::start().await;
        let bus = BusConfig {
            url: nats.url(),
            credentials: None,
            replicas: 1,
        };
        Self {
            bus: Bus::connect(&bus, "test", &Shutdown::new()).await.unwrap(),
            nats,
            folder: Folder::new(),
            clock: Clock::manual(NOW.parse::<Timestamp>().unwrap()),
            snapshot_wait: Duration::from_mins(5),
        }
    }

    /// The configuration that the environment gives when almost nothing is set.
    pub fn config(&self) -> Config {
        let spool = self.folder.path().to_str().unwrap().to_owned();
        let pairs = [
            ("KURZ_SPOOL", spool),
            ("KURZ_VISITOR_SALT", "a salt for tests only".into()),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
        let mut env = Env::from_pairs("redirector", pairs);
        let config = App::config(&mut env);
        Config {
            snapshot_wait: self.snapshot_wait,
            ..env.finish(config).unwrap()
        }
    }

    /// A redirector that has caught up.
    pub async fn redirector(&self) -> Running<App> {
        self.redirector_with(self.config(), TrustedProxies::default())
            .await
    }

    /// One with other settings.
    pub async fn redirector_with(&self, config: Config, trusted: TrustedProxies) -> Running<App> {
        let running = self.start(config, trusted).await;
        running.ready().await;
        running
    }

    /// One that may not be ready.
    pub async fn start(&self, config: Config, trusted: TrustedProxies) -> Running<App> {
        let clock = self.clock.clone();
        Running::try_start(config, &self.nats.url(), clock, trusted)
            .await
            .unwrap()
    }

    /// Puts a link into the bucket.
    pub async fn put(&self, record: &LinkRecord) {
        let subject = subjects::link(&record.code);
        self.put_raw(subject, record.encode()).await;
    }

    /// Puts anything into the bucket.
    pub async fn put_raw(&self, subject: String, value: Vec<u8>) {
        let sent = self
            .bus
            .jetstream()
            .publish(subject, value.into())
            .await
            .unwrap();
        sent.await.unwrap();
    }

    /// Deletes a link from the bucket.
    pub async fn delete(&self, code: &str) {
        let mut headers = HeaderMap::new();
        headers.insert("KV-Operation", "DEL");
        let subject = subjects::link(code);
        let jetstream = self.bus.jetstream();
        let sent = jetstream
            .publish_with_headers(subject, headers, "".into())
            .await
            .unwrap();
        sent.await.unwrap();
    }

    /// The payloads of the first `count` clicks' batches, as they are in the stream, and the clicks.
    pub async fn clicks(&self, count: usize) -> (Vec<u8>, Vec<Click>) {
        let mut follow = self
            .bus
            .follow(streams::CLICKS.name, None, Start::First)
            .await
            .unwrap();
        let (mut bytes, mut clicks) = (Vec::new(), Vec::new());
        while clicks.len() < count {
            let next = tokio::time::timeout(Duration::from_secs(20), follow.next()).await;
            let message = next.expect("the clicks are published").unwrap().unwrap();
            bytes.extend_from_slice(message.subject.as_bytes());
            bytes.extend_from_slice(format!("{:?}", message.headers).as_bytes());
            bytes.extend_from_slice(&message.payload);
            clicks.extend(ClickBatch::decode(&message.payload).unwrap().clicks);
        }
        (bytes, clicks)
    }
}

/// An open link.
pub fn link(code: &str) -> LinkRecord {
    LinkRecord {
        link_id: Uuid::now_v7(),
        owner_id: Uuid::now_v7(),
        code: code.to_owned(),
        url: format!("https://example.org/{code}?a=b&c=%20"),
        version: 1,
        state: LinkState::Active,
        valid_from_ms: None,
        valid_until_ms: None,
        max_clicks: None,
        fallback_url: None,
        redirect_status: 302,
    }
}

/// GET without a word about what is accepted.
/// What the admin listener says for Prometheus.
pub async fn get_metrics(running: &Running<App>) -> String {
    let url = format!("{}/metrics", running.admin_url);
    let response = running.client().get(url).send().await;
    response.unwrap().text().await.unwrap()
}

pub async fn get(running: &Running<App>, path: &str) -> Response {
    running
        .client()
        .get(format!("{}{path}", running.url))
        .send()
        .await
        .unwrap()
}

/// GET as a browser does it.
pub async fn browse(running: &Running<App>, path: &str) -> Response {
    let request = running.client().get(format!("{}{path}", running.url));
    request
        .header("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
        .send()
        .await
        .unwrap()
}

/// A header of an answer; empty if it is not there.
pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// Waits until a code answers with `status`.
pub async fn answers(running: &Running<App>, code: &str, status: StatusCode) -> Response {
    let path = format!("/{code}");
    eventually(|| async {
        let response = get(running, &path).await;
        (response.status() == status).then_some(response)
    })
    .await
}

/// Sends bytes as they are and returns the whole answer: no client in between that tidies up.
pub async fn raw(running: &Running<App>, request: &[u8]) -> String {
    let address: SocketAddr = running
        .url
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = connection.write_all(request).await;
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
