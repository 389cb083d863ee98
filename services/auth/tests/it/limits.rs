//! Guessing is slow.

use std::time::Duration;

use auth::{Limits, Rate};
use chassis::clock::Clock;
use chassis::sqlite::Profile;
use chassis::testing::{Folder, NatsServer, Running};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::{PASSWORD, TestApp};

/// What one client may fail against one account.
const FAILURES: usize = 10;

#[tokio::test]
async fn guessing_a_password_is_stopped_and_says_when_to_come_back() {
    let app = TestApp::start().await;
    assert_eq!(app.register("ada").await.status, 201);
    for _ in 0..FAILURES {
        app.try_log_in("ada", "not my password")
            .await
            .is_problem(401);
    }
    let refused = app.try_log_in("Ada", PASSWORD).await;
    refused.is_problem(429);
    assert_eq!(refused.header("retry-after"), "30");

    app.clock.advance(SignedDuration::from_secs(29));
    assert_eq!(
        app.try_log_in("ada", PASSWORD).await.header("retry-after"),
        "1"
    );
    app.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(app.try_log_in("ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn unknown_names_are_limited_like_known_ones() {
    let app = TestApp::start().await;
    for _ in 0..FAILURES {
        app.try_log_in("nobody-here", "not my password")
            .await
            .is_problem(401);
    }
    app.try_log_in("nobody-here", "not my password")
        .await
        .is_problem(429);
}

#[tokio::test]
async fn right_passwords_are_not_counted_against_the_account() {
    let app = TestApp::start().await;
    assert_eq!(app.register("ada").await.status, 201);
    for _ in 0..2 * FAILURES {
        assert_eq!(app.try_log_in("ada", PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn one_client_can_not_try_one_password_on_many_names() {
    let app = TestApp::start().await;
    for name in 0..60 {
        app.try_log_in(&format!("user{name}"), "password1")
            .await
            .is_problem(401);
    }
    let refused = app.try_log_in("user60", "password1").await;
    refused.is_problem(429);
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test]
async fn a_stolen_access_token_opens_no_other_way_to_guess() {
    let app = TestApp::start().await;
    let ada = app.newcomer("ada").await;
    for _ in 0..FAILURES / 2 {
        app.change_password(&ada.access, "not my password", "a new password")
            .await
            .is_problem(403);
        app.close(&ada.access, "not my password")
            .await
            .is_problem(403);
    }
    app.change_password(&ada.access, PASSWORD, "a new password")
        .await
        .is_problem(429);
    app.close(&ada.access, PASSWORD).await.is_problem(429);
    app.try_log_in("ada", PASSWORD).await.is_problem(429);
    assert_eq!(app.me(&ada.access).await.status, 200);
}

#[tokio::test]
async fn a_client_is_who_the_trusted_proxy_says_and_nobody_else() {
    let (nats, folder) = (NatsServer::start().await, Folder::new());
    let config = |name: &str| auth::Config::new(folder.path().join(name), Profile::Local);
    let clock = Clock::manual("2026-11-24T12:00:00Z".parse::<Timestamp>().unwrap());
    let trusting = "127.0.0.0/8".parse().unwrap();
    let proxied =
        Running::<auth::App>::try_start(config("a.db"), &nats.url(), clock.clone(), trusting)
            .await
            .unwrap();
    let direct = Running::<auth::App>::start(config("b.db"), &nats, clock).await;
    let guess = async |running: &Running<auth::App>, client: &str| {
        let request = running
            .client()
            .post(format!("{}/auth/tokens", running.url))
            .header("x-forwarded-for", client)
            .json(&json!({ "username": "ada", "password": "not my password" }));
        request.send().await.unwrap().status().as_u16()
    };
    for _ in 0..FAILURES {
        assert_eq!(guess(&proxied, "192.0.2.1").await, 401);
        assert_eq!(guess(&direct, "192.0.2.1").await, 401);
    }
    assert_eq!(guess(&proxied, "192.0.2.1").await, 429);
    assert_eq!(guess(&proxied, "192.0.2.2").await, 401);
    assert_eq!(
        guess(&direct, "192.0.2.2").await,
        429,
        "a client can't choose its address"
    );
}

#[tokio::test]
async fn registering_in_bulk_is_stopped() {
    let app = TestApp::start().await;
    // A taken name costs no hash, and counts all the same.
    for _ in 0..60 {
        assert_ne!(app.register("ada").await.status, 429);
    }
    app.register("eve").await.is_problem(429);
    app.clock.advance(SignedDuration::from_secs(10));
    assert_eq!(app.register("eve").await.status, 201);
}

#[tokio::test]
async fn who_comes_while_too_many_passwords_wait_is_told_to_come_back() {
    let (nats, folder) = (NatsServer::start().await, Folder::new());
    let unlimited = Rate {
        burst: 10_000,
        every: Duration::from_millis(1),
    };
    let limits = Limits {
        client: unlimited,
        // Enough for all that wait at the same time, not for all that come.
        client_and_user: Rate {
            burst: 500,
            every: Duration::from_hours(1),
        },
        user: unlimited,
        ..Limits::default()
    };
    let config = auth::Config {
        limits,
        ..auth::Config::new(folder.path().join("auth.db"), Profile::Local)
    };
    let running = Running::<auth::App>::start(config, &nats, Clock::system()).await;
    let client = running.client();
    let guess = json!({ "username": "ada", "password": "not my password" });
    let mut busy = 0;
    for _ in 0..2 {
        let guesses = (0..300).map(|_| {
            client
                .post(format!("{}/auth/tokens", running.url))
                .json(&guess)
                .send()
        });
        for answer in join_all(guesses).await {
            let answer = answer.unwrap();
            match answer.status().as_u16() {
                401 => {}
                503 => {
                    assert_eq!(answer.headers()["retry-after"], "1");
                    busy += 1;
                }
                // Nobody looked at those, so they are not held against anybody.
                other => panic!("{other}"),
            }
        }
    }
    assert!((100..600).contains(&busy), "{busy}");
    let body = json!({ "username": "ada", "password": PASSWORD });
    let register = client
        .post(format!("{}/auth/users", running.url))
        .json(&body);
    assert_eq!(
        register.send().await.unwrap().status(),
        201,
        "the queue is empty again"
    );
}
