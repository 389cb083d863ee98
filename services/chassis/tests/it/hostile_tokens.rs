use chassis::clock::Clock;
use chassis::testing::{Forged, Issuer, NatsServer, Running};
use jiff::SignedDuration;
use uuid::Uuid;

use crate::support::Echo;

#[tokio::test]
async fn forged_tokens_are_refused_and_good_ones_are_not() {
    let nats = NatsServer::start().await;
    let clock = Clock::manual("2026-03-01T12:00:00Z".parse().unwrap());
    let issuer = Issuer::start_at(clock.clone()).await;
    let echo: Running<Echo> = Running::start(issuer.jwks_url(), &nats, clock.clone()).await;
    let user = Uuid::now_v7();
    let status = async |token: &str| {
        let request = echo
            .client()
            .get(format!("{}/echo/me", echo.url))
            .bearer_auth(token);
        let answer = request.send().await.unwrap();
        let challenged = answer.headers().contains_key("www-authenticate");
        (answer.status().as_u16(), challenged)
    };

    for forged in Forged::ALL {
        assert_eq!(
            status(&issuer.forged(user, forged)).await,
            (401, true),
            "{forged:?}"
        );
    }
    for garbage in ["", "x", "a.b.c", "ey.ey.ey", &"x".repeat(100_000)[..7_000]] {
        assert_eq!(status(garbage).await, (401, true), "{garbage}");
    }
    let token = issuer.token(user);
    assert_eq!(status(&token).await, (200, false));
    clock.advance(SignedDuration::from_mins(15));
    assert_eq!(status(&token).await, (401, true), "it has expired");
}
