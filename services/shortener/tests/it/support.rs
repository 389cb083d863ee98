//! One running shortener with everything around it, for one test.

use std::collections::BTreeMap;

use chassis::bus::Start;
use chassis::clock::Clock;
use chassis::database_file::DatabaseFile;
use chassis::sqlite::Profile;
use chassis::testing::{Folder, Issuer, NatsServer, Running, eventually};
use events::LinkRecord;
use events::streams::LINKS;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use shortener::{App, Config};
use uuid::Uuid;

/// A shortener, its database, its NATS, and a stand-in for auth.
pub struct TestApp {
    pub nats: NatsServer,
    pub issuer: Issuer,
    pub clock: Clock,
    running: Option<Running<App>>,
    folder: Folder,
}

/// Somebody with an account.
pub struct User {
    pub id: Uuid,
    pub token: String,
    client: Client,
    base: String,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl TestApp {
    pub async fn start() -> Self {
        let mut app = Self {
            nats: NatsServer::start().await,
            issuer: Issuer::start().await,
            clock: Clock::system(),
            running: None,
            folder: Folder::new(),
        };
        app.run().await;
        app
    }

    /// Stops the shortener and starts it again on the same database.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.run().await;
    }

    pub async fn stop(&mut self) {
        self.running.take().expect("it runs").stop().await;
    }

    pub async fn run(&mut self) {
        let database = self.folder.path().join("links.db");
        let config = Config {
            database: DatabaseFile::new(database, Profile::Local),
            jwks_url: self.issuer.jwks_url(),
        };
        self.running = Some(Running::start(config, &self.nats, self.clock.clone()).await);
    }

    pub fn running(&self) -> &Running<App> {
        self.running.as_ref().expect("it runs")
    }

    /// A new user; a token says all that the shortener knows of users.
    pub fn user(&self) -> User {
        self.user_with(Uuid::now_v7())
    }

    pub fn user_with(&self, id: Uuid) -> User {
        User {
            id,
            token: self.issuer.token(id),
            client: self.running().client(),
            base: self.running().url.clone(),
        }
    }

    /// What the bucket holds, by code.
    pub async fn bucket(&self) -> BTreeMap<String, LinkRecord> {
        let bus = self.running().bus();
        // While NATS comes back this fails for a moment.
        let mut follow = eventually(|| async {
            bus.follow(
                LINKS.name,
                Some(events::subjects::LINKS_ALL),
                Start::LastPerSubject,
            )
            .await
            .ok()
        })
        .await;
        let mut values = BTreeMap::new();
        let mut pending = follow.backlog();
        while pending > 0 {
            let message = follow.next().await.unwrap().unwrap();
            pending = message.pending;
            if message.headers.get("KV-Operation").is_none() {
                let code = events::subjects::link_code(&message.subject)
                    .unwrap()
                    .to_owned();
                values.insert(code, LinkRecord::decode(&message.payload).unwrap());
            }
        }
        values
    }

    /// Waits until the bucket holds what `expected` says.
    pub async fn bucket_holds(&self, expected: &BTreeMap<String, String>) {
        eventually(|| async {
            let bucket = self.bucket().await;
            let urls = bucket
                .into_iter()
                .map(|(code, record)| (code, record.url))
                .collect();
            (*expected == urls).then_some(())
        })
        .await;
    }

    /// The maintenance command.
    pub async fn resync(&self) -> String {
        let url = format!("{}/resync", self.running().admin_url);
        let answer = self.running().client().post(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    }
}

impl User {
    pub async fn post(&self, body: Value) -> Answer {
        self.send(Method::POST, "/shortener/links", Some(body))
            .await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn patch(&self, code: &str, body: Value) -> Answer {
        self.send(
            Method::PATCH,
            &format!("/shortener/links/{code}"),
            Some(body),
        )
        .await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Makes a link under `code`, which must work.
    pub async fn link(&self, code: &str, url: &str) -> Value {
        let answer = self.post(json!({ "code": code, "url": url })).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body
    }

    /// All links of this user, by code: where they lead.
    pub async fn links(&self) -> BTreeMap<String, String> {
        let mut links = BTreeMap::new();
        let mut path = "/shortener/links?limit=100".to_owned();
        loop {
            let page = self.get(&path).await.body;
            for link in page["items"].as_array().unwrap() {
                let text = |field: &str| link[field].as_str().unwrap().to_owned();
                links.insert(text("code"), text("url"));
            }
            let Some(cursor) = page["next_cursor"].as_str() else {
                return links;
            };
            path = format!("/shortener/links?limit=100&cursor={cursor}");
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::of(request).await
    }
}

impl Answer {
    /// Sends a request, and reads the answer; one that is not JSON reads as null.
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let status = response.status();
        let headers = response.headers().clone();
        let body = response.bytes().await.unwrap();
        Self {
            status,
            headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    /// Checks that this is a refusal as RFC 9457 says.
    #[track_caller]
    pub fn is_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{self:?}"
        );
        assert_eq!(self.body["status"], status, "{self:?}");
        assert!(
            self.body["detail"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{self:?}"
        );
    }

    /// Checks that these fields, and no others, are at fault.
    #[track_caller]
    pub fn faults(&self, fields: &[&str]) {
        self.is_problem(422);
        let mut found: Vec<&str> = self.body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect();
        found.sort_unstable();
        assert_eq!(found, fields, "{self:?}");
    }
}
