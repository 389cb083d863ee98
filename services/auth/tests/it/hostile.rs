//! What no well-meaning client sends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::caller::Claims;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::TestApp;

const WITH_A_BODY: [&str; 4] = [
    "/auth/users",
    "/auth/tokens",
    "/auth/tokens/refresh",
    "/auth/tokens/revoke",
];

#[tokio::test]
async fn a_body_that_is_no_json_is_refused() {
    let app = TestApp::start().await;
    for path in WITH_A_BODY {
        for body in [
            "",
            "{",
            "}",
            "\0",
            "{\"username\":",
            "{\"username\": \"\\ud800\"}",
        ] {
            app.post_raw(path, "application/json", body)
                .await
                .is_problem(400);
        }
        app.post_raw(path, "application/json", [0xff, 0xfe, 0x00])
            .await
            .is_problem(400);
        app.post_raw(path, "text/plain", "{}").await.is_problem(415);
        let deep = "[".repeat(60_000);
        app.post_raw(path, "application/json", deep)
            .await
            .is_problem(400);
        let huge = "x".repeat(10_000_000);
        app.post_raw(path, "application/json", huge)
            .await
            .is_problem(413);
    }
}

#[tokio::test]
async fn a_body_of_another_shape_is_refused() {
    let app = TestApp::start().await;
    let bodies = [
        json!(null),
        json!([]),
        json!("ada"),
        json!({}),
        json!({ "username": 1, "password": true, "refresh_token": {} }),
        json!({ "username": null, "password": null, "refresh_token": null }),
        json!({ "username": ["ada"], "password": { "$ne": "" }, "refresh_token": [] }),
    ];
    for path in WITH_A_BODY {
        for body in &bodies {
            let answer = app.post(path, body.clone()).await;
            answer.is_problem(422);
            assert!(!answer.body["errors"].as_array().unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn a_path_or_a_method_that_is_not_there_is_a_problem() {
    let app = TestApp::start().await;
    for path in [
        "/auth",
        "/auth/nothing",
        "/auth/users/..%2f..%2fetc%2fpasswd",
        "/auth/users/%00",
    ] {
        app.send(Method::GET, path, None, None)
            .await
            .is_problem(404);
    }
    app.send(Method::DELETE, "/auth/users", None, None)
        .await
        .is_problem(405);
    app.send(Method::GET, "/auth/tokens", None, None)
        .await
        .is_problem(405);
}

#[tokio::test]
async fn rotation_is_for_the_admin_listener_only() {
    let app = TestApp::start().await;
    for path in ["/keys/rotate", "/auth/keys/rotate"] {
        assert_eq!(app.status_of(Method::POST, path).await, 404, "{path}");
    }
}

#[tokio::test]
async fn a_forged_token_is_refused() {
    let app = TestApp::start().await;
    let ada = app.newcomer("ada").await;
    let genuine = Genuine::of(&app, &ada.access);
    let good = genuine.claims.clone();
    assert_eq!(
        app.me(&genuine.sign(&good)).await.status,
        200,
        "what follows differs in one thing"
    );

    let expired = Claims {
        exp: good.iat - 1,
        ..good.clone()
    };
    let other_issuer = Claims {
        iss: "http://elsewhere.test".to_owned(),
        ..good.clone()
    };
    let other_audience = Claims {
        aud: "other".to_owned(),
        ..good.clone()
    };
    let other_user = Claims {
        sub: Uuid::now_v7(),
        ..good.clone()
    };
    let other_session = Claims {
        sid: Uuid::now_v7(),
        ..good.clone()
    };
    for claims in [
        expired,
        other_issuer,
        other_audience,
        other_user,
        other_session,
    ] {
        app.me(&genuine.sign(&claims)).await.is_problem(401);
    }
    let nil = json!({ "alg": "none", "typ": "JWT", "kid": genuine.kid });
    let none = format!("{}.{}.", encoded(&nil), encoded(&json!(good)));
    let public = app
        .jwks()
        .await
        .into_iter()
        .find(|key| key["kid"] == *genuine.kid)
        .unwrap();
    let x = URL_SAFE_NO_PAD
        .decode(public["x"].as_str().unwrap())
        .unwrap();
    let hmac = |secret: &[u8]| {
        let header = Header {
            kid: Some(genuine.kid.clone()),
            ..Header::new(Algorithm::HS256)
        };
        jsonwebtoken::encode(&header, &good, &EncodingKey::from_secret(secret)).unwrap()
    };
    let (signed, _) = ada.access.rsplit_once('.').unwrap();
    let forged = [
        none,
        hmac(&x),
        hmac(public["x"].as_str().unwrap().as_bytes()),
        hmac(public.to_string().as_bytes()),
        format!("{signed}."),
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        Genuine {
            seed: vec![9; 32],
            ..genuine.clone()
        }
        .sign(&good),
        Genuine {
            kid: "unknown".to_owned(),
            ..genuine.clone()
        }
        .sign(&good),
        ada.refresh.clone(),
        String::new(),
        "a.b.c".to_owned(),
        "x".repeat(8_000),
    ];
    for token in forged {
        app.me(&token).await.is_problem(401);
    }
    app.send(Method::GET, "/auth/users/me", None, None)
        .await
        .is_problem(401);
}

/// The service's own key, read from its database, to sign what it would never sign.
#[derive(Clone)]
struct Genuine {
    kid: String,
    seed: Vec<u8>,
    claims: Claims,
}

impl Genuine {
    fn of(app: &TestApp, access: &str) -> Self {
        let kid = jsonwebtoken::decode_header(access).unwrap().kid.unwrap();
        let seed = app
            .database()
            .query_row(
                "SELECT seed FROM signing_keys WHERE kid = ?1",
                [&kid],
                |row| row.get(0),
            )
            .unwrap();
        let claims = URL_SAFE_NO_PAD
            .decode(access.split('.').nth(1).unwrap())
            .unwrap();
        Self {
            kid,
            seed,
            claims: serde_json::from_slice(&claims).unwrap(),
        }
    }

    fn sign(&self, claims: &Claims) -> String {
        let prefix = [
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ];
        let key = EncodingKey::from_ed_der(&[&prefix[..], &self.seed].concat());
        let header = Header {
            kid: Some(self.kid.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
