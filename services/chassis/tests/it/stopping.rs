use chassis::clock::Clock;
use chassis::testing::{Issuer, NatsServer, Running, eventually};

use crate::support::Echo;

#[tokio::test]
async fn a_stop_closes_idle_connections_and_ends_well() {
    let nats = NatsServer::start().await;
    let issuer = Issuer::start().await;
    let echo: Running<Echo> = Running::start(issuer.jwks_url(), &nats, Clock::system()).await;
    let client = echo.client();
    let url = format!("{}/echo/address", echo.url);
    client.get(&url).send().await.unwrap().text().await.unwrap();
    echo.stop().await;
    assert!(client.get(&url).send().await.is_err());
}

#[tokio::test]
async fn a_service_starts_and_is_alive_without_nats() {
    let mut nats = NatsServer::start().await;
    nats.stop().await;
    let issuer = Issuer::start().await;
    let echo: Running<Echo> = Running::start(issuer.jwks_url(), &nats, Clock::system()).await;
    let live = echo
        .client()
        .get(format!("{}/health/live", echo.admin_url))
        .send()
        .await
        .unwrap();
    assert_eq!(live.status(), 200);
    nats.restart().await;
    eventually(|| async { echo.bus().is_connected().then_some(()) }).await;
    echo.stop().await;
}
