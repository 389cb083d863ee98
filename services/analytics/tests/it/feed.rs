//! The feed: one message for each click of those who turned it on.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use std::collections::BTreeSet;

use analytics::{App, Config};
use async_nats::jetstream;
use async_nats::jetstream::message::StreamMessage;
use chassis::testing::{Issuer, Running, eventually};
use events::{Click, Partition, streams, subjects};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::accounts::close;
use crate::audit::post;
use crate::bench::Bench;
use crate::dead::set_aside;
use crate::feeder::{Feeder, NOON, click};

/// Analytics with a stand-in for auth, so that feeds can be turned on.
pub struct FeedBench {
    pub bench: Bench,
    pub issuer: Issuer,
}

impl FeedBench {
    pub async fn new() -> Self {
        let bench = Bench::new().await;
        let issuer = Issuer::start_at(bench.clock.clone()).await;
        Self { bench, issuer }
    }

    pub async fn start(&self) -> Running<App> {
        let config = Config {
            jwks_url: self.issuer.jwks_url(),
            ..self.bench.config()
        };
        Running::start(config, &self.bench.nats, self.bench.clock.clone()).await
    }

    /// Asks for the feed of `owner`, or turns it on or off.
    pub async fn feed(
        &self,
        analytics: &Running<App>,
        owner: Uuid,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let url = format!("{}/analytics/feed", analytics.url);
        let method = if body.is_some() {
            Method::PUT
        } else {
            Method::GET
        };
        let mut request = analytics
            .client()
            .request(method, url)
            .bearer_auth(self.issuer.token(owner));
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// Turns the feed of the feeder's owner on or off.
    pub async fn switch(&self, analytics: &Running<App>, feeder: &Feeder, enabled: bool) {
        let body = Some(json!({ "enabled": enabled }));
        let (status, feed) = self.feed(analytics, feeder.owner_id, body).await;
        assert_eq!(status, StatusCode::OK, "{feed}");
        assert_eq!(feed, switched(feeder.owner_id, enabled));
    }

    /// Waits until nothing waits to be published any more, up to this message of CLICKS.
    pub async fn published(&self, sequence: u64) {
        let numbers = self.bench.numbers();
        numbers.applied(sequence).await;
        eventually(|| async {
            (numbers.number("SELECT count(*) FROM feed_outbox", []) == Some(0)).then_some(())
        })
        .await;
    }
}

/// Everything that FEED holds, in its order.
pub async fn messages(jetstream: &jetstream::Context) -> Vec<StreamMessage> {
    let stream = jetstream.get_stream(streams::FEED.name).await.unwrap();
    let state = stream.cached_info().state.clone();
    let mut messages = Vec::new();
    for sequence in state.first_sequence..=state.last_sequence {
        // Those of closed accounts were taken out of the middle.
        messages.extend(stream.get_raw_message(sequence).await.ok());
    }
    assert_eq!(messages.len() as u64, state.messages);
    messages
}

/// The ids of their clicks, in the order of the stream.
pub async fn ids(jetstream: &jetstream::Context) -> Vec<String> {
    let messages = messages(jetstream).await;
    let id = |message: &StreamMessage| message.headers.get("ce-id").unwrap().to_string();
    messages.iter().map(id).collect()
}

/// What a feed without losses says of itself.
fn switched(owner: Uuid, enabled: bool) -> Value {
    json!({
        "enabled": enabled,
        "dropped": 0,
        "stream": "FEED",
        "subject": format!("feed.v1.{owner}.>"),
    })
}

/// The ids of a feeder's clicks, in their order.
pub fn expected(feeder: &Feeder, numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    let id = |number| format!("{}-{number}", feeder.spool);
    numbers.into_iter().map(id).collect()
}

#[tokio::test]
async fn a_feed_is_off_until_it_is_turned_on_and_costs_nothing() {
    let feeds = FeedBench::new().await;
    let analytics = feeds.start().await;
    let feeder = feeds.bench.feeder().await;
    let (status, feed) = feeds.feed(&analytics, feeder.owner_id, None).await;
    assert_eq!(
        (status, feed),
        (StatusCode::OK, switched(feeder.owner_id, false))
    );
    feeds.published(feeder.publish(0..3).await).await;
    let numbers = feeds.bench.numbers();
    // No row was ever written.
    let rows = "SELECT count(*) FROM sqlite_sequence WHERE name = 'feed_outbox'";
    assert_eq!(numbers.number(rows, []), Some(0));

    feeds.switch(&analytics, &feeder, true).await;
    feeds.published(feeder.publish(3..6).await).await;
    // Seen before: not published again.
    feeds.published(feeder.publish(2..6).await).await;
    feeds.switch(&analytics, &feeder, false).await;
    feeds.published(feeder.publish(6..9).await).await;
    feeds.switch(&analytics, &feeder, true).await;
    feeds.published(feeder.publish(9..10).await).await;
    assert_eq!(
        ids(feeder.jetstream()).await,
        expected(&feeder, [3, 4, 5, 9])
    );
    // Each account for itself.
    let other = Uuid::now_v7();
    let (_, others) = feeds.feed(&analytics, other, None).await;
    assert_eq!(others, switched(other, false));

    for body in [
        json!({}),
        json!({ "enabled": 1 }),
        json!({ "enabled": true, "on": 1 }),
    ] {
        let (status, problem) = feeds.feed(&analytics, feeder.owner_id, Some(body)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    }
    let url = format!("{}/analytics/feed", analytics.url);
    let stranger = analytics.client().get(url).send().await.unwrap();
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    analytics.stop().await;
}

#[tokio::test]
async fn a_message_is_a_cloud_event_that_says_what_its_owner_may_know() {
    let feeds = FeedBench::new().await;
    let analytics = feeds.start().await;
    let feeder = feeds.bench.feeder().await;
    feeds.switch(&analytics, &feeder, true).await;
    let other = Click {
        code: "Two_2".into(),
        country: None,
        ..click(Uuid::now_v7(), feeder.owner_id, 1)
    };
    let clicks = vec![click(feeder.link_id, feeder.owner_id, 0), other];
    feeds
        .published(feeder.publish_clicks(0, clicks).await)
        .await;

    let messages = messages(feeder.jetstream()).await;
    let [first, second] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    assert_eq!(
        *first.subject,
        *subjects::feed(Partition::WHOLE, feeder.owner_id, "abc")
    );
    assert_eq!(
        *second.subject,
        *subjects::feed(Partition::WHOLE, feeder.owner_id, "Two_2")
    );
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", &format!("{}-0", feeder.spool)),
        ("ce-type", "kurz.click.v1"),
        ("ce-source", "http://kurz.test/analytics/feed"),
        ("ce-subject", "abc"),
        ("ce-time", "2026-03-01T12:00:00Z"),
        ("content-type", "application/json"),
        ("Kurz-Row", "1"),
    ] {
        assert_eq!(first.headers.get(name).unwrap().as_str(), value, "{name}");
    }
    let body: Value = serde_json::from_slice(&first.payload).unwrap();
    assert_eq!(
        body,
        json!({
            "code": "abc", "at": "2026-03-01T12:00:00Z", "kind": "human",
            "referrer": "news.example", "country": "DE", "browser": "Firefox", "os": "Linux",
            "device": "desktop", "language": "de"
        })
    );
    let body: Value = serde_json::from_slice(&second.payload).unwrap();
    assert_eq!(body["country"], "");
    assert_eq!(NOON % 1_000, 0);
    analytics.stop().await;
}

#[tokio::test]
async fn the_contract_describes_the_message_exactly() {
    let feeds = FeedBench::new().await;
    let analytics = feeds.start().await;
    let feeder = feeds.bench.feeder().await;
    feeds.switch(&analytics, &feeder, true).await;
    feeds.published(feeder.publish(0..1).await).await;
    let messages = messages(feeder.jetstream()).await;
    let headers = messages[0].headers.iter();
    let headers: BTreeSet<String> = headers.map(|(name, _)| name.to_string()).collect();
    let body: Value = serde_json::from_slice(&messages[0].payload).unwrap();
    analytics.stop().await;

    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/asyncapi.yaml");
    let contract: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let components = &contract["components"];
    let example = &components["messages"]["ClickRecorded"]["examples"][0];
    for (schema, names, example) in [
        ("cloudEventHeaders", headers, &example["headers"]),
        ("ClickRecorded", names(&body), &example["payload"]),
    ] {
        let schema = &components["schemas"][schema];
        assert_eq!(self::names(&schema["properties"]), names);
        assert_eq!(self::names(example), names);
        let required = schema["required"].as_array().unwrap().iter();
        let optional: BTreeSet<String> = names
            .into_iter()
            .filter(|name| !required.clone().any(|it| it == name.as_str()))
            .collect();
        // The headers by which the writer tells the stream what it expects.
        assert!(optional.iter().all(|name| name.starts_with("Nats-")));
    }
}

fn names(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn a_dead_message_that_is_retried_is_published_once() {
    let feeds = FeedBench::new().await;
    let analytics = feeds.start().await;
    let feeder = feeds.bench.feeder().await;
    feeds.switch(&analytics, &feeder, true).await;
    feeder.publish(0..3).await;
    feeds.published(feeder.publish(5..7).await).await;
    for _ in 0..2 {
        set_aside(&feeder, 3..5).await;
    }
    for _ in 0..2 {
        let (status, text) = post(&analytics, "/dead/retry").await;
        assert_eq!(status, StatusCode::OK, "{text}");
    }
    feeds.published(feeder.publish(7..8).await).await;
    assert_eq!(
        ids(feeder.jetstream()).await,
        expected(&feeder, [0, 1, 2, 5, 6, 3, 4, 7])
    );
    analytics.stop().await;
}

#[tokio::test]
async fn closing_an_account_takes_its_feed_away_and_nobody_elses() {
    let feeds = FeedBench::new().await;
    let analytics = feeds.start().await;
    let [leaving, staying] = [feeds.bench.feeder().await, feeds.bench.feeder().await];
    for feeder in [&leaving, &staying] {
        feeds.switch(&analytics, feeder, true).await;
    }
    staying.publish(0..2).await;
    feeds.published(leaving.publish(0..5).await).await;
    close(&feeds.bench.nats.url(), leaving.owner_id).await;
    let numbers = feeds.bench.numbers();
    let erased = "SELECT count(*) FROM closed_account WHERE erased = 1";
    eventually(|| async { (numbers.number(erased, []) == Some(1)).then_some(()) }).await;
    assert_eq!(
        ids(leaving.jetstream()).await,
        expected(&staying, 0..2),
        "at once"
    );
    assert_eq!(
        numbers.number("SELECT count(*) FROM feed_owner", []),
        Some(1)
    );
    // Its late clicks are dropped, and its token is refused.
    leaving.publish(5..7).await;
    feeds.published(staying.publish(2..4).await).await;
    assert_eq!(ids(leaving.jetstream()).await, expected(&staying, 0..4));
    let body = Some(json!({ "enabled": true }));
    let (status, _) = feeds.feed(&analytics, leaving.owner_id, body).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    analytics.stop().await;

    // Stopped between the two: the erasure is done again, and nothing else changes.
    let database = rusqlite::Connection::open(feeds.bench.config().database.path).unwrap();
    database
        .execute("UPDATE closed_account SET erased = 0", [])
        .unwrap();
    drop(database);
    let left_over = jetstream::Context::publish(
        staying.jetstream(),
        subjects::feed(Partition::WHOLE, leaving.owner_id, "abc"),
        "{}".into(),
    );
    left_over.await.unwrap().await.unwrap();
    let analytics = feeds.start().await;
    eventually(|| async { (numbers.number(erased, []) == Some(1)).then_some(()) }).await;
    feeds.published(staying.publish(4..5).await).await;
    assert_eq!(ids(staying.jetstream()).await, expected(&staying, 0..5));
    analytics.stop().await;
}

#[tokio::test]
async fn two_accounts_keep_the_order_of_the_stream() {
    let feeds = FeedBench::new().await;
    let analytics = feeds.start().await;
    let [one, two] = [feeds.bench.feeder().await, feeds.bench.feeder().await];
    for feeder in [&one, &two] {
        feeds.switch(&analytics, feeder, true).await;
    }
    let mut wanted = Vec::new();
    let mut last = 0;
    for round in 0..20 {
        for feeder in [&one, &two] {
            let numbers = round * 60..round * 60 + 60;
            last = feeder.publish(numbers.clone()).await;
            wanted.extend(expected(feeder, numbers));
        }
    }
    feeds.published(last).await;
    let found = ids(one.jetstream()).await;
    assert_eq!(found, wanted);
    assert_eq!(BTreeSet::from_iter(&found).len(), found.len());
    analytics.stop().await;
}
