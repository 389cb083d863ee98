//! Registering, and changing the password.

use std::os::unix::fs::PermissionsExt as _;

use argon2::{Argon2, Params, PasswordHasher as _};
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::json;

use crate::support::{PASSWORD, SignedIn, TestApp};

#[tokio::test]
async fn who_registers_can_sign_in_and_see_their_account() {
    let app = TestApp::start().await;
    let registered = app.register("Ada.Lovelace").await;
    assert_eq!(registered.status, 201);
    assert_eq!(registered.body["username"], "Ada.Lovelace");
    assert_eq!(registered.body["created_at"], "2026-11-24T12:00:00Z");
    assert!(registered.body.get("password").is_none());

    let answer = app.try_log_in("ada.lovelace", PASSWORD).await;
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["expires_in"], 900);
    assert_eq!(answer.header("cache-control"), "no-store");
    let ada = SignedIn::from(answer);
    let me = app.me(&ada.access).await;
    assert_eq!(me.status, 200);
    assert_eq!(me.body, registered.body);
}

#[tokio::test]
async fn a_name_is_taken_in_every_spelling() {
    let app = TestApp::start().await;
    assert_eq!(app.register("ada").await.status, 201);
    app.register("ADA").await.is_problem(409);
}

#[tokio::test]
async fn of_many_who_want_a_name_at_once_one_gets_it() {
    let app = TestApp::start().await;
    let spellings = ["grace", "Grace", "GRACE", "gRace", "grAce", "graCe"];
    let answers = join_all(spellings.map(|name| app.register(name))).await;
    let mut statuses: Vec<u16> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn a_name_or_password_that_breaks_the_rules_is_refused_with_its_field() {
    let app = TestApp::start().await;
    for (username, password, field) in [
        ("ab", PASSWORD, "username"),
        ("ada lovelace", PASSWORD, "username"),
        ("аda", PASSWORD, "username"),
        ("", PASSWORD, "username"),
        ("ada", "1234567", "password"),
        ("ada", "", "password"),
    ] {
        let body = json!({ "username": username, "password": password });
        let answer = app.post("/auth/users", body).await;
        answer.is_problem(422);
        assert_eq!(
            answer.body["errors"][0]["field"], field,
            "{username:?} {password:?}"
        );
    }
    let body = json!({ "username": "ada", "password": "x".repeat(257) });
    app.post("/auth/users", body).await.is_problem(422);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_get_the_same_answer() {
    let app = TestApp::start().await;
    assert_eq!(app.register("ada").await.status, 201);
    let wrong = app.try_log_in("ada", "not my password").await;
    let unknown = app.try_log_in("eve", "not my password").await;
    let malformed = app.try_log_in("no such name!", "not my password").await;
    let nobody = app.try_log_in("eve", "nobody").await;
    for answer in [&wrong, &unknown, &malformed, &nobody] {
        answer.is_problem(401);
        assert_eq!(answer.body, wrong.body);
    }
}

#[tokio::test]
async fn a_changed_password_ends_every_other_session() {
    let app = TestApp::start().await;
    let here = app.newcomer("ada").await;
    let there = app.log_in("ada").await;
    let new = "another good password";

    app.change_password(&here.access, "not my password", new)
        .await
        .is_problem(403);
    app.change_password(&here.access, PASSWORD, "short")
        .await
        .is_problem(422);
    assert_eq!(
        app.change_password(&here.access, PASSWORD, new)
            .await
            .status,
        204
    );

    app.refresh(&there.refresh).await.is_problem(401);
    app.me(&there.access).await.is_problem(401);
    app.change_password(&there.access, new, PASSWORD)
        .await
        .is_problem(401);
    assert_eq!(app.me(&here.access).await.status, 200);
    assert_eq!(app.refresh(&here.refresh).await.status, 200);
    app.try_log_in("ada", PASSWORD).await.is_problem(401);
    assert_eq!(app.try_log_in("ada", new).await.status, 200);
}

#[tokio::test]
async fn a_restart_keeps_accounts_sessions_and_keys() {
    let app = TestApp::start().await;
    let ada = app.newcomer("ada").await;
    let keys = app.jwks().await;
    let app = app.restart().await;
    assert_eq!(app.me(&ada.access).await.status, 200);
    assert_eq!(app.jwks().await, keys);
    assert_eq!(app.refresh(&ada.refresh).await.status, 200);
    app.log_in("ada").await;
}

#[tokio::test]
async fn the_database_holds_no_password_and_no_token_and_is_nobody_elses_to_read() {
    let app = TestApp::start().await;
    let ada = app.newcomer("ada").await;
    app.clock.advance(SignedDuration::from_secs(1));
    let next = SignedIn::from(app.refresh(&ada.refresh).await);
    let database = app.database();
    let path = database.path().unwrap().to_owned();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    database
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let holds = |text: &str| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(holds("$argon2id$"));
    for secret in [
        PASSWORD,
        &ada.refresh,
        &next.refresh,
        &next.refresh[..20],
        &next.access,
    ] {
        assert!(!holds(secret));
    }
}

#[tokio::test]
async fn a_hash_of_weaker_parameters_is_replaced_at_the_next_sign_in() {
    let app = TestApp::start().await;
    let ada = app.newcomer("ada").await;
    let weak = Argon2::from(Params::new(8 * 1024, 1, 1, None).unwrap());
    let weak = weak.hash_password(PASSWORD.as_bytes()).unwrap().to_string();
    app.database()
        .execute("UPDATE users SET password_hash = ?1", [weak])
        .unwrap();

    app.try_log_in("ada", "not my password")
        .await
        .is_problem(401);
    app.log_in("ada").await;
    let stored: String = app
        .database()
        .query_row("SELECT password_hash FROM users", [], |row| row.get(0))
        .unwrap();
    assert!(
        stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{stored}"
    );
    app.log_in("ada").await;
    assert_eq!(
        app.me(&ada.access).await.status,
        200,
        "no session ends by it"
    );
}
