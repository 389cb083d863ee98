use chassis::client_address::TrustedProxies;
use chassis::testing::eventually;
use events::{LinkRecord, LinkState};
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::{Stage, answers, browse, get, header, link, raw};

#[tokio::test]
async fn an_unknown_code_is_a_page_for_browsers_and_a_problem_for_programs() {
    let stage = Stage::new().await;
    let running = stage.redirector().await;

    let page = browse(&running, "/nowhere").await;
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    assert_eq!(
        header(&page, "content-security-policy"),
        "default-src 'none'; style-src 'unsafe-inline'"
    );
    assert_eq!(header(&page, "x-content-type-options"), "nosniff");
    assert_eq!(header(&page, "cache-control"), "no-store");
    assert!(page.text().await.unwrap().contains("There is no such link"));

    let problem = get(&running, "/nowhere").await;
    assert_eq!(problem.status(), StatusCode::NOT_FOUND);
    assert_eq!(header(&problem, "content-type"), "application/problem+json");
    let problem: Value = problem.json().await.unwrap();
    assert_eq!(problem["status"], 404);
    running.stop().await;
}

#[tokio::test]
async fn a_closed_link_is_gone_or_leads_to_its_fallback() {
    let stage = Stage::new().await;
    let now = stage.clock.now_ms();
    let disabled = LinkState::Disabled;
    stage
        .put(&LinkRecord {
            state: disabled,
            ..link("disabled")
        })
        .await;
    stage
        .put(&LinkRecord {
            valid_until_ms: Some(now),
            ..link("over")
        })
        .await;
    stage
        .put(&LinkRecord {
            valid_until_ms: Some(now + 1),
            ..link("last-moment")
        })
        .await;
    let fallback_url = Some("https://example.net/closed".to_owned());
    stage
        .put(&LinkRecord {
            state: disabled,
            fallback_url,
            ..link("fallback")
        })
        .await;
    let running = stage.redirector().await;

    for code in ["disabled", "over"] {
        let page = browse(&running, &format!("/{code}")).await;
        assert_eq!(page.status(), StatusCode::GONE);
        assert!(page.text().await.unwrap().contains("This link is closed"));
        let problem = get(&running, &format!("/{code}")).await;
        assert_eq!(problem.status(), StatusCode::GONE);
        assert_eq!(problem.json::<Value>().await.unwrap()["status"], 410);
    }
    assert_eq!(
        get(&running, "/last-moment").await.status(),
        StatusCode::FOUND
    );
    stage.clock.advance(SignedDuration::from_millis(1));
    assert_eq!(
        get(&running, "/last-moment").await.status(),
        StatusCode::GONE
    );

    let fallback = get(&running, "/fallback").await;
    assert_eq!(fallback.status(), StatusCode::FOUND);
    assert_eq!(header(&fallback, "location"), "https://example.net/closed");
    running.stop().await;
}

#[tokio::test]
async fn a_link_does_not_exist_before_its_time() {
    let stage = Stage::new().await;
    let from = stage.clock.now_ms() + 1_000;
    stage
        .put(&LinkRecord {
            valid_from_ms: Some(from),
            ..link("soon")
        })
        .await;
    let running = stage.redirector().await;
    assert_eq!(get(&running, "/soon").await.status(), StatusCode::NOT_FOUND);
    stage.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(get(&running, "/soon").await.status(), StatusCode::FOUND);
    running.stop().await;
}

#[tokio::test]
async fn only_get_and_head_are_answered() {
    let stage = Stage::new().await;
    stage.put(&link("docs")).await;
    let running = stage.redirector().await;
    for path in ["/docs", "/", "/robots.txt", "/favicon.ico"] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let request = running
                .client()
                .request(method, format!("{}{path}", running.url));
            let response = request.body("x").send().await.unwrap();
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(header(&response, "allow"), "GET, HEAD");
            assert_eq!(
                header(&response, "content-type"),
                "application/problem+json"
            );
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn the_root_and_what_robots_ask_for_are_answered() {
    let stage = Stage::new().await;
    let running = stage.redirector().await;
    let home = get(&running, "/").await;
    assert_eq!(home.status(), StatusCode::OK);
    assert!(home.text().await.unwrap().contains("Short links"));
    let robots = get(&running, "/robots.txt").await;
    assert_eq!(header(&robots, "content-type"), "text/plain; charset=utf-8");
    assert_eq!(robots.text().await.unwrap(), "User-agent: *\nDisallow: /\n");
    assert_eq!(
        get(&running, "/favicon.ico").await.status(),
        StatusCode::NO_CONTENT
    );
    running.stop().await;

    let mut config = stage.config();
    config.home_url = Some("https://example.com/about".parse().unwrap());
    let running = stage
        .redirector_with(config, TrustedProxies::default())
        .await;
    let home = get(&running, "/").await;
    assert_eq!(home.status(), StatusCode::FOUND);
    assert_eq!(header(&home, "location"), "https://example.com/about");
    running.stop().await;
}

#[tokio::test]
async fn a_head_is_told_what_a_get_is_told() {
    let stage = Stage::new().await;
    stage.put(&link("docs")).await;
    let running = stage.redirector().await;
    let mut answers = Vec::new();
    for method in ["GET", "HEAD"] {
        let request =
            format!("{method} /docs HTTP/1.1\r\nhost: kurz.test\r\nconnection: close\r\n\r\n");
        let answer = raw(&running, request.as_bytes()).await;
        let mut lines: Vec<String> = answer.lines().map(str::to_owned).collect();
        lines.retain(|line| !line.starts_with("date: "));
        lines.sort();
        answers.push(lines);
    }
    assert!(answers[0].contains(&"content-length: 0".to_owned()));
    assert_eq!(answers[0], answers[1]);
    running.stop().await;
}

#[tokio::test]
async fn hostile_paths_lead_nowhere() {
    let stage = Stage::new().await;
    stage.put(&link("docs")).await;
    let running = stage.redirector().await;
    let long = "a".repeat(10 * 1024);
    let paths = [
        "/docs/",
        "//docs",
        "/docs/more",
        "/%64ocs",
        "/docs%00",
        "/docs%2e%2e",
        "/../docs",
        "/..%2f..%2fetc%2fpasswd",
        "/../../../../etc/passwd",
        "/%c3%bc",
        "/%ff%fe",
        "/%",
        "/do.cs",
        "/docs;x=y",
        "/$KV.links.docs",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
        &format!("/{}", &long[..65]),
        &format!("/{long}"),
    ];
    for path in paths {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: kurz.test\r\nconnection: close\r\n\r\n");
        let answer = raw(&running, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        assert!(
            !answer.contains("script") && !answer.contains("passwd"),
            "{answer}"
        );
    }
    // Not HTTP at all: the server's own refusal, and no harm.
    for path in ["/\u{fc}ber", "/a b", "/\u{0}"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: kurz.test\r\nconnection: close\r\n\r\n");
        let answer = raw(&running, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
    assert_eq!(get(&running, "/docs").await.status(), StatusCode::FOUND);
    running.stop().await;
}

#[tokio::test]
async fn a_flood_of_headers_is_refused_and_harms_nobody() {
    let stage = Stage::new().await;
    stage.put(&link("docs")).await;
    let running = stage.redirector().await;
    let many = "x-flood: y\r\n".repeat(5_000);
    let large = format!("x-large: {}\r\n", "y".repeat(1 << 20));
    for flood in [many, large] {
        let request = format!("GET /docs HTTP/1.1\r\nhost: kurz.test\r\n{flood}\r\n");
        let answer = raw(&running, request.as_bytes()).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
            "{answer}"
        );
    }
    answers(&running, "docs", StatusCode::FOUND).await;
    running.stop().await;
}

#[tokio::test]
async fn a_value_that_is_no_link_is_passed_over() {
    let stage = Stage::new().await;
    let running = stage.redirector().await;
    stage
        .put_raw("$KV.links.broken".into(), b"\xc1 not MessagePack".to_vec())
        .await;
    stage
        .put_raw("$KV.links.other".into(), link("docs").encode())
        .await;
    stage
        .put(&LinkRecord {
            url: "javascript:alert(1)".into(),
            ..link("script")
        })
        .await;
    stage.put(&link("docs")).await;
    answers(&running, "docs", StatusCode::FOUND).await;
    for code in ["/broken", "/other", "/script"] {
        assert_eq!(get(&running, code).await.status(), StatusCode::NOT_FOUND);
    }
    // It goes on following.
    stage.put(&link("later")).await;
    eventually(|| async {
        (get(&running, "/later").await.status() == StatusCode::FOUND).then_some(())
    })
    .await;
    running.stop().await;
}
