use std::collections::HashSet;

use chassis::client_address::TrustedProxies;
use chassis::env::Secret;
use chassis::testing::Running;
use events::{Click, Hints, LinkRecord, LinkState};
use jiff::SignedDuration;
use redirector::App;
use reqwest::Method;

use crate::support::{Stage, get, link};

/// Requests a code with headers.
async fn visit(running: &Running<App>, method: Method, code: &str, headers: &[(&str, &str)]) {
    let mut request = running
        .client()
        .request(method, format!("{}/{code}", running.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap();
}

#[tokio::test]
async fn a_visit_becomes_a_click() {
    let stage = Stage::new().await;
    let record = link("docs");
    stage.put(&record).await;
    let running = stage.redirector().await;
    let headers = [
        ("referer", "https://News.example.org:8443/today?secret=1"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
        ("accept-language", "de-CH,de;q=0.9"),
    ];
    visit(&running, Method::GET, "docs", &headers).await;
    let (_, clicks) = stage.clicks(1).await;
    let expected = Click {
        link_id: record.link_id,
        owner_id: record.owner_id,
        code: "docs".into(),
        at_ms: stage.clock.now_ms(),
        hints: Hints::NONE,
        referrer: "news.example.org".into(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64)".into(),
        language: "de".into(),
        country: None,
        visitor: clicks[0].visitor,
    };
    assert_eq!(clicks, [expected]);
    running.stop().await;
}

#[tokio::test]
async fn heads_and_prefetches_are_recorded_as_such_and_refusals_not_at_all() {
    let stage = Stage::new().await;
    stage.put(&link("docs")).await;
    let fallback_url = Some("https://example.net/".to_owned());
    let closed = LinkRecord {
        state: LinkState::Disabled,
        fallback_url,
        ..link("closed")
    };
    stage.put(&closed).await;
    let running = stage.redirector().await;
    for code in ["nowhere", "closed", "robots.txt", "favicon.ico", ""] {
        visit(&running, Method::GET, code, &[]).await;
    }
    visit(&running, Method::POST, "docs", &[]).await;
    visit(
        &running,
        Method::GET,
        "docs",
        &[("sec-purpose", "prefetch")],
    )
    .await;
    visit(&running, Method::HEAD, "docs", &[]).await;
    visit(&running, Method::GET, "docs", &[]).await;
    let (_, clicks) = stage.clicks(3).await;
    let hints: Vec<_> = clicks.iter().map(|click| click.hints).collect();
    assert_eq!(hints, [Hints::PREFETCH, Hints::HEAD, Hints::NONE]);
    running.stop().await;
}

#[tokio::test]
async fn a_visitor_hash_changes_with_the_day_and_the_salt() {
    let stage = Stage::new().await;
    stage.put(&link("docs")).await;
    let running = stage.redirector().await;
    get(&running, "/docs").await;
    stage.clock.advance(SignedDuration::from_hours(11));
    get(&running, "/docs").await;
    stage.clock.advance(SignedDuration::from_hours(2));
    get(&running, "/docs").await;
    running.stop().await;

    let mut config = stage.config();
    config.visitor_salt = Secret::from("another salt for tests".to_owned());
    let running = stage
        .redirector_with(config, TrustedProxies::default())
        .await;
    get(&running, "/docs").await;
    let (_, clicks) = stage.clicks(4).await;
    let visitors: Vec<_> = clicks.iter().map(|click| click.visitor).collect();
    assert_eq!(visitors[0], visitors[1], "the same day");
    assert_eq!(
        visitors.iter().collect::<HashSet<_>>().len(),
        3,
        "{visitors:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn no_address_is_published() {
    let stage = Stage::new().await;
    stage.put(&link("docs")).await;
    let trusted = "127.0.0.0/8".parse().unwrap();
    let running = stage.redirector_with(stage.config(), trusted).await;
    let addresses = ["198.51.100.77", "203.0.113.201", "2001:db8:77::9"];
    for address in addresses {
        visit(
            &running,
            Method::GET,
            "docs",
            &[("x-forwarded-for", address)],
        )
        .await;
        let ignored = [("forwarded", "for=198.51.100.77"), ("cf-ipcountry", "DE")];
        visit(&running, Method::GET, "docs", &ignored).await;
    }
    let (bytes, clicks) = stage.clicks(6).await;
    for address in addresses.into_iter().chain(["127.0.0.1"]) {
        let octets = match address.parse().unwrap() {
            std::net::IpAddr::V4(address) => address.octets().to_vec(),
            std::net::IpAddr::V6(address) => address.octets().to_vec(),
        };
        assert!(!contains(&bytes, address.as_bytes()), "{address} as text");
        assert!(!contains(&bytes, &octets), "{address} as bytes");
    }
    assert!(
        clicks.iter().all(|click| click.country.is_none()),
        "a header is no country"
    );
    let visitors: HashSet<_> = clicks.iter().map(|click| click.visitor).collect();
    assert_eq!(
        visitors.len(),
        4,
        "three visitors behind the proxy, and the proxy itself"
    );
    running.stop().await;
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
