use chassis::testing::eventually;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::Stack;

/// The password of every account under test.
const PASSWORD: &str = "correct horse battery staple";

/// Somebody who is logged in.
pub struct Account {
    token: String,
    client: Client,
    auth: String,
    shortener: String,
    analytics: String,
}

impl Account {
    pub(crate) async fn register(stack: &Stack, username: &str) -> Self {
        let client = stack.auth.client();
        let credentials = json!({ "username": username, "password": PASSWORD });
        let post = |path: &str| {
            client
                .post(format!("{}{path}", stack.auth.url))
                .json(&credentials)
        };
        let registered = post("/auth/users").send().await.expect("auth answers");
        assert_eq!(registered.status(), StatusCode::CREATED);
        let tokens = post("/auth/tokens").send().await.expect("auth answers");
        assert_eq!(tokens.status(), StatusCode::OK);
        let tokens: Value = tokens.json().await.expect("tokens are JSON");
        let token = tokens["access_token"]
            .as_str()
            .expect("there is a token")
            .to_owned();
        Self {
            token,
            client,
            auth: stack.auth.url.clone(),
            shortener: stack.shortener.url.clone(),
            analytics: stack.analytics.url.clone(),
        }
    }

    /// Asks; the status and the body (null if there is none).
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.expect("the service answers");
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    /// Makes a link.
    pub async fn link(&self, code: &str, url: &str) -> Value {
        let body = json!({ "code": code, "url": url });
        let (status, link) = self.ask(Method::POST, "/shortener/links", Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{link}");
        link
    }

    /// Waits until the link has this many clicks; its totals.
    pub async fn counted(&self, code: &str, clicks: u64) -> Value {
        let path = format!("/analytics/links/{code}");
        eventually(|| async {
            let (status, totals) = self.ask(Method::GET, &path, None).await;
            let reached = status == StatusCode::OK && totals["clicks"].as_u64()? >= clicks;
            reached.then_some(totals)
        })
        .await
    }

    /// Closes the account.
    pub async fn close(&self) {
        let body = json!({ "password": PASSWORD });
        let (status, answer) = self
            .ask(Method::POST, "/auth/users/me/close", Some(body))
            .await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let base = match path.split('/').nth(1) {
            Some("auth") => &self.auth,
            Some("shortener") => &self.shortener,
            _ => &self.analytics,
        };
        self.client
            .request(method, format!("{base}{path}"))
            .bearer_auth(&self.token)
    }
}
