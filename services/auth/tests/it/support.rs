//! A running auth, and short words for what tests do with it.

use std::path::PathBuf;

use auth::{App, Config};
use chassis::clock::Clock;
use chassis::sqlite::Profile;
use chassis::testing::{Folder, NatsServer, Running};
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A password that is good enough.
pub const PASSWORD: &str = "correct horse battery staple";

/// auth with a database, a bus and a clock of its own.
pub struct TestApp {
    pub running: Running<App>,
    pub nats: NatsServer,
    pub clock: Clock,
    folder: Folder,
    client: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

/// What somebody who is signed in holds.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub access: String,
    pub refresh: String,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_on(NatsServer::start().await).await
    }

    pub async fn start_on(nats: NatsServer) -> Self {
        let folder = Folder::new();
        let clock = Clock::manual("2026-11-24T12:00:00Z".parse::<Timestamp>().unwrap());
        let running = run(&folder, &nats, &clock).await;
        let client = running.client();
        Self {
            running,
            nats,
            clock,
            folder,
            client,
        }
    }

    /// Stops in order and starts again on the same database.
    pub async fn restart(self) -> Self {
        let Self {
            running,
            nats,
            clock,
            folder,
            client,
        } = self;
        running.stop().await;
        let running = run(&folder, &nats, &clock).await;
        Self {
            running,
            nats,
            clock,
            folder,
            client,
        }
    }

    /// Stops in order, lets `meanwhile` happen, and starts again on the same database.
    pub async fn restart_after(
        mut self,
        meanwhile: impl AsyncFnOnce(&mut NatsServer, PathBuf),
    ) -> Self {
        self.running.stop().await;
        meanwhile(&mut self.nats, database(&self.folder)).await;
        self.running = run(&self.folder, &self.nats, &self.clock).await;
        self
    }

    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(database(&self.folder)).unwrap()
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.running.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// The status alone, of an answer that need not be JSON.
    pub async fn status_of(&self, method: Method, path: &str) -> u16 {
        let request = self
            .client
            .request(method, format!("{}{path}", self.running.url));
        request.send().await.unwrap().status().as_u16()
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, None, Some(body)).await
    }

    pub async fn post_raw(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let request = self
            .client
            .post(format!("{}{path}", self.running.url))
            .header("content-type", content_type)
            .body(body.into());
        Answer::read(request.send().await.unwrap()).await
    }

    pub async fn register(&self, username: &str) -> Answer {
        let body = json!({ "username": username, "password": PASSWORD });
        self.post("/auth/users", body).await
    }

    pub async fn try_log_in(&self, username: &str, password: &str) -> Answer {
        self.post(
            "/auth/tokens",
            json!({ "username": username, "password": password }),
        )
        .await
    }

    pub async fn log_in(&self, username: &str) -> SignedIn {
        SignedIn::from(self.try_log_in(username, PASSWORD).await)
    }

    /// Registers and signs in.
    pub async fn newcomer(&self, username: &str) -> SignedIn {
        assert_eq!(self.register(username).await.status, 201);
        self.log_in(username).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.post("/auth/tokens/refresh", json!({ "refresh_token": token }))
            .await
    }

    pub async fn me(&self, access: &str) -> Answer {
        self.send(Method::GET, "/auth/users/me", Some(access), None)
            .await
    }

    pub async fn change_password(&self, access: &str, current: &str, new: &str) -> Answer {
        let body = json!({ "current_password": current, "new_password": new });
        self.send(
            Method::PUT,
            "/auth/users/me/password",
            Some(access),
            Some(body),
        )
        .await
    }

    pub async fn close(&self, access: &str, password: &str) -> Answer {
        let body = json!({ "password": password });
        self.send(
            Method::POST,
            "/auth/users/me/close",
            Some(access),
            Some(body),
        )
        .await
    }

    pub async fn jwks(&self) -> Vec<Value> {
        let answer = self
            .send(Method::GET, "/auth/.well-known/jwks.json", None, None)
            .await;
        assert_eq!(answer.status, 200);
        answer.body["keys"].as_array().unwrap().clone()
    }

    pub async fn rotate(&self) -> String {
        let url = format!("{}/keys/rotate", self.running.admin_url);
        let response = self.client.post(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }
}

impl Answer {
    async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap()
        };
        Self {
            status,
            headers,
            body,
        }
    }

    /// A header's text, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that this is a problem of this status, and nothing of ours leaked into it.
    #[track_caller]
    pub fn is_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{:?}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert!(
            self.body["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
        if status == 401 {
            assert!(self.header("www-authenticate").starts_with("Bearer"));
        }
        if status == 429 {
            assert!(self.header("retry-after").parse::<u64>().unwrap() > 0);
        }
    }
}

impl From<Answer> for SignedIn {
    #[track_caller]
    fn from(answer: Answer) -> Self {
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let text = |field: &str| answer.body[field].as_str().unwrap().to_owned();
        Self {
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }
}

async fn run(folder: &Folder, nats: &NatsServer, clock: &Clock) -> Running<App> {
    let config = Config::new(database(folder), Profile::Local);
    Running::start(config, nats, clock.clone()).await
}

fn database(folder: &Folder) -> PathBuf {
    folder.path().join("auth.db")
}
