//! The owner of the links, and whoever reads metrics.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

const USERNAME: &str = "crash";
const PASSWORD: &str = "correct horse battery staple";

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How many entries a page has.
const PAGE: usize = 100;

/// Where the services are.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The base of auth.
    pub auth: String,
    /// The base of the shortener.
    pub shortener: String,
    /// The base of analytics.
    pub analytics: String,
}

/// An account, logged in.
pub struct Owner {
    client: Client,
    addresses: Addresses,
    token: String,
}

/// A client that follows no redirects and has limits.
pub fn http() -> anyhow::Result<Client> {
    Ok(Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(LIMIT)
        .pool_max_idle_per_host(0)
        .build()?)
}

impl Owner {
    /// Registers and logs in.
    pub async fn register(addresses: Addresses) -> anyhow::Result<Self> {
        let mut owner = Self {
            client: http()?,
            addresses,
            token: String::new(),
        };
        let registered = owner.credentials("/auth/users").await?;
        ensure!(registered.status() == StatusCode::CREATED, "can't register");
        owner.log_in().await?;
        Ok(owner)
    }

    /// Gets a new token: one lasts for a quarter of an hour.
    pub async fn log_in(&mut self) -> anyhow::Result<()> {
        let tokens: Value = self.credentials("/auth/tokens").await?.json().await?;
        let token = tokens["access_token"].as_str().context("can't log in")?;
        token.clone_into(&mut self.token);
        Ok(())
    }

    /// Makes a link.
    pub async fn link(&self, code: &str) -> anyhow::Result<()> {
        let body = json!({ "code": code, "url": "https://example.org/" });
        let url = format!("{}/shortener/links", self.addresses.shortener);
        let request = self.client.post(url).bearer_auth(&self.token).json(&body);
        let status = request.send().await?.status();
        ensure!(status == StatusCode::CREATED, "can't make a link: {status}");
        Ok(())
    }

    /// Turns the feed on.
    pub async fn turn_feed_on(&self) -> anyhow::Result<()> {
        let url = format!("{}/analytics/feed", self.addresses.analytics);
        let request = self.client.put(url).bearer_auth(&self.token);
        let status = request
            .json(&json!({ "enabled": true }))
            .send()
            .await?
            .status();
        ensure!(status == StatusCode::OK, "can't turn the feed on: {status}");
        Ok(())
    }

    /// How many clicks are counted in all.
    pub async fn clicks(&self) -> anyhow::Result<u64> {
        self.ask("/analytics/summary").await?["clicks"]
            .as_u64()
            .context("a summary has clicks")
    }

    /// All referrers of a link, with how often each came. Exact only while nothing is counted.
    pub async fn referrers(&self, code: &str) -> anyhow::Result<Vec<(String, u64)>> {
        let path = format!("/analytics/links/{code}/breakdown/referrer?limit={PAGE}");
        let mut referrers = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.ask(&format!("{path}{cursor}")).await?;
            for item in page["items"].as_array().context("a page has items")? {
                let value = item["value"].as_str().context("an entry has a value")?;
                let clicks = item["clicks"].as_u64().context("an entry has clicks")?;
                referrers.push((value.to_owned(), clicks));
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(referrers),
            }
        }
    }

    /// When the earliest click was, by the clock of its redirector.
    pub async fn first_click_at(&self) -> anyhow::Result<Timestamp> {
        let links = self.ask(&format!("/analytics/links?limit={PAGE}")).await?;
        let links = links["items"].as_array().context("a page has items")?;
        let firsts = links
            .iter()
            .filter_map(|link| link["first_click_at"].as_str());
        // All in the same time zone and of the same form, but for fractions of a second.
        let first = firsts.min().context("no link was ever followed")?;
        Ok(first.parse()?)
    }

    async fn ask(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.addresses.analytics);
        let answer = self
            .client
            .request(Method::GET, url)
            .bearer_auth(&self.token)
            .send()
            .await?;
        let status = answer.status();
        ensure!(
            status == StatusCode::OK,
            "{path}: {status}: {}",
            answer.text().await?
        );
        Ok(answer.json().await?)
    }

    async fn credentials(&self, path: &str) -> anyhow::Result<Response> {
        let body = json!({ "username": USERNAME, "password": PASSWORD });
        let url = format!("{}{path}", self.addresses.auth);
        Ok(self.client.post(url).json(&body).send().await?)
    }
}

/// The sum of a metric over all its labels; none if nobody answers.
pub async fn metric(client: &Client, admin: &str, name: &str) -> Option<f64> {
    let text = client
        .get(format!("{admin}/metrics"))
        .send()
        .await
        .ok()?
        .text()
        .await
        .ok()?;
    let of_name = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let value = if rest.starts_with('{') {
            rest.split_once("} ")?.1
        } else {
            rest.strip_prefix(' ')?
        };
        value.trim().parse::<f64>().ok()
    };
    Some(text.lines().filter_map(of_name).sum())
}
