//! Staying signed in, and signing out.

use jiff::SignedDuration;
use serde_json::json;

use crate::support::{SignedIn, TestApp};

const DAY: SignedDuration = SignedDuration::from_hours(24);

#[tokio::test]
async fn a_refresh_gives_new_tokens_and_spends_the_old_one() {
    let app = TestApp::start().await;
    let first = app.newcomer("ada").await;
    let answer = app.refresh(&first.refresh).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let second = SignedIn::from(answer);
    assert_ne!(second.refresh, first.refresh);
    assert_eq!(app.me(&second.access).await.status, 200);
    let third = SignedIn::from(app.refresh(&second.refresh).await);
    assert_eq!(app.me(&third.access).await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_used_again_ends_its_whole_family_and_no_other() {
    let app = TestApp::start().await;
    let other = app.newcomer("ada").await;
    let first = app.log_in("ada").await;
    let second = SignedIn::from(app.refresh(&first.refresh).await);
    let third = SignedIn::from(app.refresh(&second.refresh).await);

    app.refresh(&first.refresh).await.is_problem(401);
    for token in [&first, &second, &third] {
        app.refresh(&token.refresh).await.is_problem(401);
        app.me(&token.access).await.is_problem(401);
    }
    assert_eq!(app.refresh(&other.refresh).await.status, 200);
}

#[tokio::test]
async fn a_token_that_comes_twice_at_once_works_at_most_once() {
    let app = TestApp::start().await;
    let ada = app.newcomer("ada").await;
    let (a, b, c) = tokio::join!(
        app.refresh(&ada.refresh),
        app.refresh(&ada.refresh),
        app.refresh(&ada.refresh)
    );
    let answers = [a, b, c];
    let mut won: Vec<SignedIn> = Vec::new();
    for answer in answers {
        if answer.status == 200 {
            won.push(answer.into());
        } else {
            answer.is_problem(401);
        }
    }
    assert_eq!(won.len(), 1);
    app.refresh(&won[0].refresh).await.is_problem(401);
}

#[tokio::test]
async fn signing_out_ends_this_session_only() {
    let app = TestApp::start().await;
    let here = app.newcomer("ada").await;
    let there = app.log_in("ada").await;
    let revoke = json!({ "refresh_token": here.refresh });
    assert_eq!(
        app.post("/auth/tokens/revoke", revoke.clone()).await.status,
        204
    );
    app.refresh(&here.refresh).await.is_problem(401);
    app.me(&here.access).await.is_problem(401);
    assert_eq!(
        app.post("/auth/tokens/revoke", revoke).await.status,
        204,
        "nothing to do"
    );
    assert_eq!(app.refresh(&there.refresh).await.status, 200);
}

#[tokio::test]
async fn an_access_token_expires_after_15_minutes() {
    let app = TestApp::start().await;
    let ada = app.newcomer("ada").await;
    app.clock.advance(SignedDuration::from_secs(15 * 60 - 1));
    assert_eq!(app.me(&ada.access).await.status, 200);
    app.clock.advance(SignedDuration::from_secs(1));
    app.me(&ada.access).await.is_problem(401);
    let next = SignedIn::from(app.refresh(&ada.refresh).await);
    assert_eq!(app.me(&next.access).await.status, 200);
}

#[tokio::test]
async fn a_session_lives_as_long_as_it_is_used_every_30_days() {
    let app = TestApp::start().await;
    let mut ada = app.newcomer("ada").await;
    for _ in 0..4 {
        app.clock.advance(DAY * 29);
        ada = SignedIn::from(app.refresh(&ada.refresh).await);
    }
    app.clock.advance(DAY * 30);
    app.refresh(&ada.refresh).await.is_problem(401);
}

#[tokio::test]
async fn expired_sessions_are_removed() {
    let app = TestApp::start().await;
    app.newcomer("ada").await;
    app.clock.advance(DAY * 29);
    app.log_in("ada").await;
    app.clock.advance(DAY);
    let app = app.restart().await;
    let database = app.database();
    chassis::testing::eventually(|| async {
        let sessions: i64 = database
            .query_row("SELECT count(*) FROM sessions", [], |row| row.get(0))
            .unwrap();
        (sessions == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_user_has_50_sessions_at_most_and_the_least_used_one_gives_way() {
    let app = TestApp::start().await;
    let first = app.newcomer("ada").await;
    app.clock.advance(SignedDuration::from_secs(1));
    let second = app.log_in("ada").await;
    app.clock.advance(SignedDuration::from_secs(1));
    let first = SignedIn::from(app.refresh(&first.refresh).await);
    for _ in 0..49 {
        app.clock.advance(SignedDuration::from_secs(2));
        app.log_in("ada").await;
    }
    app.refresh(&second.refresh).await.is_problem(401);
    assert_eq!(app.refresh(&first.refresh).await.status, 200);
}

#[tokio::test]
async fn a_text_that_never_was_a_token_is_refused() {
    let app = TestApp::start().await;
    for token in [
        "",
        "x",
        &"A".repeat(64),
        &"é".repeat(32),
        &"x".repeat(10_000),
    ] {
        app.refresh(token).await.is_problem(401);
        let revoke = json!({ "refresh_token": token });
        assert_eq!(app.post("/auth/tokens/revoke", revoke).await.status, 204);
    }
}
