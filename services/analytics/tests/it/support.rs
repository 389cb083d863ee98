//! A running analytics with a stand-in for auth, users, and spools that publish their clicks.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use std::collections::VecDeque;

use analytics::{App, Config, Retention};
use chassis::clock::Clock;
use chassis::database_file::DatabaseFile;
use chassis::sqlite::Profile;
use chassis::testing::{Folder, Issuer, NatsServer, Running, eventually};
use events::{Click, ClickBatch, Hints, Partition, streams, subjects};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use crate::feeder::FIREFOX;

/// When the tests take place.
pub const NOW: &str = "2025-11-24T12:00:00Z";

/// Everything that a test of the API needs.
pub struct TestApp {
    pub clock: Clock,
    pub issuer: Issuer,
    pub running: Running<App>,
    _folder: Folder,
    _nats: NatsServer,
}

/// Somebody with a token.
#[derive(Clone)]
pub struct User {
    pub id: Uuid,
    pub token: String,
}

impl TestApp {
    pub async fn start() -> Self {
        let clock = Clock::manual(at(NOW));
        let (nats, folder) = (NatsServer::start().await, Folder::new());
        let issuer = Issuer::start_at(clock.clone()).await;
        let database = folder.path().join("clicks.db");
        let config = Config {
            database: DatabaseFile::new(database, Profile::Local),
            jwks_url: issuer.jwks_url(),
            retention: Retention::default(),
            partition: Partition::WHOLE,
            others: None,
        };
        let running = Running::start(config, &nats, clock.clone()).await;
        Self {
            clock,
            issuer,
            running,
            _folder: folder,
            _nats: nats,
        }
    }

    pub fn user(&self) -> User {
        let id = Uuid::now_v7();
        User {
            id,
            token: self.issuer.token(id),
        }
    }

    pub fn request(&self, user: &User, path: &str) -> RequestBuilder {
        let url = format!("{}/analytics{path}", self.running.url);
        self.running.client().get(url).bearer_auth(&user.token)
    }

    pub async fn get(&self, user: &User, path: &str) -> (StatusCode, Value) {
        let response = self.request(user, path).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// What is answered with 200.
    pub async fn ok(&self, user: &User, path: &str) -> Value {
        let (status, body) = self.get(user, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// A new spool.
    pub fn spool(&self) -> Spool<'_> {
        Spool {
            app: self,
            id: Uuid::now_v7(),
            next: 0,
        }
    }

    /// Waits until all links of the user together were requested so often by people and bots.
    pub async fn counted(&self, user: &User, clicks: u64) {
        eventually(|| async {
            (self.ok(user, "/summary").await["clicks"] == clicks).then_some(())
        })
        .await;
    }

    /// A ticket for a live stream.
    pub async fn ticket(&self, user: &User) -> String {
        let url = format!("{}/analytics/stream/tickets", self.running.url);
        let response = self
            .running
            .client()
            .post(url)
            .bearer_auth(&user.token)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        response.json::<Value>().await.unwrap()["ticket"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A live stream from now on, or from the event `last` on.
    pub async fn watch(&self, user: &User, path: &str, last: Option<&str>) -> Events {
        let mut request = self.request(user, path);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        Events::of(request.send().await.unwrap())
    }
}

/// A redirector's log of clicks.
pub struct Spool<'a> {
    app: &'a TestApp,
    id: Uuid,
    next: u64,
}

impl Spool<'_> {
    /// Publishes clicks; the sequence of their message.
    pub async fn publish(&mut self, clicks: Vec<Click>) -> u64 {
        let jetstream = self.app.running.bus().jetstream();
        let count = clicks.len() as u64;
        let batch = ClickBatch {
            spool: self.id,
            first: self.next,
            clicks,
        };
        let (payload, subject) = (batch.encode(), subjects::clicks(Partition::WHOLE, self.id));
        let stored = eventually(|| async {
            // The stream may not be declared yet.
            jetstream
                .publish(subject.clone(), payload.clone().into())
                .await
                .ok()?
                .await
                .ok()
        });
        let sequence = stored.await.sequence;
        self.next += count;
        sequence
    }
}

/// A link of somebody.
#[derive(Clone)]
pub struct Link {
    pub id: Uuid,
    pub owner: Uuid,
    pub code: String,
}

impl Link {
    pub fn new(user: &User, code: &str) -> Self {
        Self {
            id: Uuid::now_v7(),
            owner: user.id,
            code: code.to_owned(),
        }
    }

    /// A click of a person.
    pub fn click(&self, when: &str) -> Click {
        Click {
            link_id: self.id,
            owner_id: self.owner,
            code: self.code.as_str().into(),
            at_ms: at(when).as_millisecond(),
            hints: Hints::NONE,
            referrer: "news.example".into(),
            user_agent: FIREFOX.into(),
            language: "de".into(),
            country: Some("DE".into()),
            visitor: 1,
        }
    }

    /// Clicks of people that can be told apart by their referrers: `<number>.example`.
    pub fn numbered(&self, numbers: std::ops::Range<usize>) -> Vec<Click> {
        numbers
            .map(|number| Click {
                referrer: format!("{number}.example").into(),
                ..self.click(NOW)
            })
            .collect()
    }
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// One Server-Sent Event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

/// A live stream, read as a browser reads it.
pub struct Events {
    response: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
    ready: VecDeque<Event>,
    /// What a browser would come again with.
    pub last_event_id: Option<String>,
}

impl Events {
    pub fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response: response.bytes_stream().boxed(),
            text: String::new(),
            ready: VecDeque::new(),
            last_event_id: None,
        }
    }

    /// The next event with data; none at the end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            // Below, a block is taken only once an earlier event was handed out, so that the id is
            // that of the last event seen.
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                self.take(&block);
                continue;
            }
            let bytes = self.response.next().await?.ok()?;
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    fn take(&mut self, block: &str) {
        let (mut name, mut data) = ("message", String::new());
        for line in block.lines() {
            match line
                .split_once(':')
                .map(|(field, value)| (field, value.trim_start()))
            {
                Some(("event", value)) => name = value,
                Some(("data", value)) => data.push_str(value),
                Some(("id", value)) => self.last_event_id = Some(value.to_owned()),
                _ => {}
            }
        }
        if !data.is_empty() {
            let data = serde_json::from_str(&data).unwrap();
            self.ready.push_back(Event {
                name: name.to_owned(),
                data,
            });
        }
    }

    /// The next events, each of them a click, by the numbers in their referrers.
    pub async fn numbers(&mut self, count: usize) -> Vec<usize> {
        let mut numbers = Vec::with_capacity(count);
        while numbers.len() < count {
            let event = self.next().await.unwrap();
            assert_eq!(event.name, "click", "{event:?}");
            numbers.push(number(&event));
        }
        numbers
    }

    /// Waits until the stream is open: its first comment has come.
    pub async fn opened(mut self) -> Self {
        while !self.text.contains("\n\n") {
            let bytes = self.response.next().await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        let end = self.text.find("\n\n").unwrap();
        let block: String = self.text.drain(..end + 2).collect();
        self.take(&block);
        self
    }
}

/// The number in the referrer of a click.
pub fn number(event: &Event) -> usize {
    let referrer = event.data["referrer"].as_str().unwrap();
    referrer.strip_suffix(".example").unwrap().parse().unwrap()
}

/// The name of the stream of all clicks.
pub const CLICKS: &str = streams::CLICKS.name;
