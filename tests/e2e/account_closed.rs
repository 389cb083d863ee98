use chassis::testing::eventually;
use e2e::Stack;
use reqwest::{Method, StatusCode};

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_account_takes_everything_with_it() {
    let stack = Stack::start().await;
    let ada = stack.account("ada").await;
    let bob = stack.account("bob").await;
    ada.link("gone", "https://example.org/").await;
    bob.link("stays", "https://example.org/").await;
    stack.visit("gone").await;
    stack.visit("stays").await;
    ada.counted("gone", 1).await;
    bob.counted("stays", 1).await;

    ada.close().await;

    stack.answers("gone", StatusCode::NOT_FOUND).await;
    stack.answers("stays", StatusCode::FOUND).await;
    for path in ["/auth/users/me", "/shortener/links", "/analytics/summary"] {
        eventually(|| async {
            let (status, _) = ada.ask(Method::GET, path, None).await;
            (status == StatusCode::UNAUTHORIZED).then_some(())
        })
        .await;
    }
    // The name is free again; whoever takes it finds nothing of the one before.
    let heir = stack.account("ada").await;
    let (_, links) = heir.ask(Method::GET, "/shortener/links", None).await;
    assert_eq!(links["items"].as_array().map(Vec::len), Some(0));
    let (_, summary) = heir.ask(Method::GET, "/analytics/summary", None).await;
    assert_eq!(summary["clicks"], 0);
    assert_eq!(bob.counted("stays", 1).await["clicks"], 1);
}
