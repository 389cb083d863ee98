//! The four services, each for itself, with the identities of `kurz secrets`.

use std::path::Path;

use chassis::client_address::TrustedProxies;
use chassis::clock::Clock;
use chassis::env::Env;
use chassis::service::Service;
use chassis::testing::{Folder, NatsServer, Running, eventually};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::bus::{config, make_secrets, publish, server};

/// Starts a service as `kurz secrets` means it to run: it may read its own subfolder.
async fn start<S: Service>(nats: &NatsServer, folder: &Path, auth_url: &str) -> Running<S> {
    let place = |name: &str| folder.join(S::NAME).join(name).display().to_string();
    let pairs = [
        ("KURZ_DATABASE", place("database.db")),
        ("KURZ_SPOOL", place("spool")),
        (
            "KURZ_JWKS_URL",
            format!("{auth_url}/auth/.well-known/jwks.json"),
        ),
        ("KURZ_VISITOR_SALT_FILE", place("visitor-salt")),
    ];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
    let mut env = Env::from_pairs(S::NAME, pairs);
    let settings = S::config(&mut env);
    let settings = env.finish(settings).unwrap();
    let bus = config(nats, folder, S::NAME);
    let service = Running::try_start_on(settings, &bus, Clock::system(), TrustedProxies::default())
        .await
        .unwrap();
    service.ready().await;
    service
}

async fn post(client: &Client, url: String, token: &str, body: &Value) -> (StatusCode, Value) {
    let answer = client.post(url).bearer_auth(token).json(body).send();
    let answer = answer.await.unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn four_services_do_all_their_work_with_the_rights_they_have() {
    let folder = Folder::new();
    make_secrets(folder.path());
    let nats = server(folder.path()).await;
    let auth: Running<auth::App> = start(&nats, folder.path(), "").await;
    let shortener: Running<shortener::App> = start(&nats, folder.path(), &auth.url).await;
    let analytics: Running<analytics::App> = start(&nats, folder.path(), &auth.url).await;
    let redirector: Running<redirector::App> = start(&nats, folder.path(), "").await;

    let client = auth.client();
    let ada = json!({ "username": "ada", "password": "correct horse battery staple" });
    post(&client, format!("{}/auth/users", auth.url), "", &ada).await;
    let (_, tokens) = post(&client, format!("{}/auth/tokens", auth.url), "", &ada).await;
    let token = tokens["access_token"].as_str().unwrap();
    let link = json!({ "url": "https://www.rust-lang.org/", "code": "rust" });
    let links = format!("{}/shortener/links", shortener.url);
    let (made, _) = post(&client, links, token, &link).await;
    assert_eq!(made, StatusCode::CREATED);

    let visit = async || {
        let visit = client.get(format!("{}/rust", redirector.url)).send().await;
        visit.unwrap().status()
    };
    eventually(|| async { (visit().await == StatusCode::FOUND).then_some(()) }).await;
    let statistics = format!("{}/analytics/links/rust", analytics.url);
    eventually(|| async {
        let answer = client
            .get(&statistics)
            .bearer_auth(token)
            .send()
            .await
            .ok()?;
        let totals: Value = answer.json().await.ok()?;
        (totals["clicks"].as_u64()? >= 1).then_some(())
    })
    .await;

    // The commands ask the streams for more than the daily work does.
    for url in [
        format!("{}/audit", analytics.admin_url),
        format!("{}/dead/list", analytics.admin_url),
        format!("{}/dead/retry", analytics.admin_url),
        format!("{}/resync", shortener.admin_url),
        format!("{}/keys/rotate", auth.admin_url),
    ] {
        let answer = client.post(&url).send().await.unwrap();
        assert!(answer.status().is_success(), "{url}: {answer:?}");
    }

    let me = format!("{}/auth/users/me", auth.url);
    let me = client.get(me).bearer_auth(token).send().await.unwrap();
    let me: Value = me.json().await.unwrap();
    let owner = me["id"].as_str().unwrap();
    publish(analytics.bus(), format!("feed.v1.{owner}.rust"), "{}").await;
    let close = format!("{}/auth/users/me/close", auth.url);
    let (closed, _) = post(&client, close, token, &ada).await;
    assert_eq!(closed, StatusCode::NO_CONTENT);
    eventually(|| async { (visit().await == StatusCode::NOT_FOUND).then_some(()) }).await;
    eventually(|| async {
        let answer = client
            .get(&statistics)
            .bearer_auth(token)
            .send()
            .await
            .ok()?;
        (answer.status() == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    // It is erased, and its feed purged.
    eventually(|| async {
        let feed = analytics.bus().jetstream().get_stream("FEED").await.ok()?;
        (feed.cached_info().state.messages == 0).then_some(())
    })
    .await;
    redirector.stop().await;
    analytics.stop().await;
    shortener.stop().await;
    auth.stop().await;
    let log = nats.log();
    assert!(!log.contains("Violation"), "{log}");
}
