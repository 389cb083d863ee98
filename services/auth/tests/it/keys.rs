//! The keys that sign, and their rotation.

use jiff::SignedDuration;
use serde_json::Value;

use crate::support::{SignedIn, TestApp};

fn ids(keys: &[Value]) -> Vec<String> {
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

fn signed_with(access: &str) -> String {
    jsonwebtoken::decode_header(access).unwrap().kid.unwrap()
}

#[tokio::test]
async fn the_key_set_has_the_key_that_signs_and_the_one_that_will_and_nothing_secret() {
    let app = TestApp::start().await;
    let ada = app.newcomer("ada").await;
    let keys = app.jwks().await;
    assert_eq!(keys.len(), 2);
    assert!(ids(&keys).contains(&signed_with(&ada.access)));
    for key in keys {
        assert_eq!(key["kty"], "OKP");
        assert_eq!(key["crv"], "Ed25519");
        assert_eq!(key["alg"], "EdDSA");
        assert_eq!(key["use"], "sig");
        assert!(key.get("d").is_none());
    }
}

#[tokio::test]
async fn a_rotation_breaks_no_token_in_flight() {
    let app = TestApp::start().await;
    let before = app.newcomer("ada").await;
    let published = ids(&app.jwks().await);
    let said = app.rotate().await;

    let after = app.log_in("ada").await;
    let new_key = signed_with(&after.access);
    assert_ne!(new_key, signed_with(&before.access));
    assert!(
        published.contains(&new_key),
        "it was published before it signed"
    );
    assert!(said.contains(&new_key), "{said}");
    assert_eq!(app.jwks().await.len(), 3);
    for tokens in [&before, &after] {
        assert_eq!(app.me(&tokens.access).await.status, 200);
    }
    assert_eq!(app.refresh(&before.refresh).await.status, 200);

    let app = app.restart().await;
    for tokens in [&before, &after] {
        assert_eq!(
            app.me(&tokens.access).await.status,
            200,
            "also after a restart"
        );
    }
}

#[tokio::test]
async fn a_retired_key_goes_when_its_last_token_has_expired() {
    let app = TestApp::start().await;
    let before = app.newcomer("ada").await;
    app.rotate().await;
    let old_key = signed_with(&before.access);
    app.clock.advance(SignedDuration::from_mins(15));
    assert!(
        ids(&app.jwks().await).contains(&old_key),
        "a little longer than the token"
    );
    app.clock.advance(SignedDuration::from_mins(5));
    assert!(!ids(&app.jwks().await).contains(&old_key));

    let app = app.restart().await;
    let database = app.database();
    chassis::testing::eventually(|| async {
        let keys: i64 = database
            .query_row("SELECT count(*) FROM signing_keys", [], |row| row.get(0))
            .unwrap();
        (keys == 2).then_some(())
    })
    .await;
    let tokens = SignedIn::from(app.refresh(&before.refresh).await);
    assert_eq!(app.me(&tokens.access).await.status, 200);
}

#[tokio::test]
async fn rotations_in_a_row_and_at_once_keep_every_token_good() {
    let app = TestApp::start().await;
    let first = app.newcomer("ada").await;
    tokio::join!(app.rotate(), app.rotate(), app.rotate());
    let last = app.log_in("ada").await;
    assert_eq!(app.jwks().await.len(), 5);
    for tokens in [&first, &last] {
        assert_eq!(app.me(&tokens.access).await.status, 200);
    }
}
