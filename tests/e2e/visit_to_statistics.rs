use e2e::Stack;
use reqwest::{Method, StatusCode};

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_is_in_the_statistics_with_all_that_it_told() {
    let stack = Stack::start().await;
    let ada = stack.account("ada").await;
    ada.link("rust", "https://www.rust-lang.org/learn").await;

    // At once: the link was answered when the link table had it.
    let answer = stack.visit("rust").await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(
        answer.headers()["location"],
        "https://www.rust-lang.org/learn"
    );
    assert_eq!(answer.headers()["cache-control"], "no-store");
    stack.visit("rust").await;

    let totals = ada.counted("rust", 2).await;
    assert_eq!(
        (&totals["clicks"], &totals["humans"]),
        (&2.into(), &2.into())
    );
    assert_eq!(
        (&totals["bots"], &totals["visitors"]),
        (&0.into(), &1.into())
    );
    for (dimension, value) in [
        ("referrer", "news.example.org"),
        ("browser", "Firefox"),
        ("os", "Linux"),
        ("language", "de"),
        ("kind", "human"),
    ] {
        let path = format!("/analytics/links/rust/breakdown/{dimension}");
        let (status, breakdown) = ada.ask(Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::OK);
        let first = &breakdown["items"][0];
        assert_eq!(
            (&first["value"], &first["clicks"]),
            (&value.into(), &2.into()),
            "{breakdown}"
        );
    }
    let (_, series) = ada
        .ask(Method::GET, "/analytics/links/rust/series", None)
        .await;
    let items = series["items"].as_array().expect("a series has items");
    assert_eq!(
        items
            .iter()
            .filter_map(|item| item["clicks"].as_u64())
            .sum::<u64>(),
        2
    );
    let (_, summary) = ada.ask(Method::GET, "/analytics/summary", None).await;
    assert_eq!(summary["clicks"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_what_is_not_theirs() {
    let stack = Stack::start().await;
    let ada = stack.account("ada").await;
    let eve = stack.account("eve").await;
    ada.link("mine", "https://example.org/").await;
    stack.visit("mine").await;
    ada.counted("mine", 1).await;
    for path in [
        "/analytics/links/mine",
        "/analytics/links/mine/series",
        "/analytics/links/mine/breakdown/browser",
        "/analytics/links/mine/stream",
        "/shortener/links/mine",
    ] {
        assert_eq!(
            eve.ask(Method::GET, path, None).await.0,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let deleted = eve.ask(Method::DELETE, "/shortener/links/mine", None).await;
    assert_eq!(deleted.0, StatusCode::NOT_FOUND);
    let (_, summary) = eve.ask(Method::GET, "/analytics/summary", None).await;
    assert_eq!(summary["clicks"], 0);
}
