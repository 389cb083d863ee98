use serde_json::{Value, json};

use crate::support::{TestApp, User};

fn codes(page: &Value) -> Vec<&str> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link["code"].as_str().unwrap())
        .collect()
}

/// Walks all pages, and lets `between` do something after each.
async fn walk(user: &User, query: &str, mut between: impl AsyncFnMut(usize)) -> Vec<String> {
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for number in 0.. {
        let page = user.get(&format!("/shortener/links?{query}{cursor}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        seen.extend(codes(&page.body).into_iter().map(ToOwned::to_owned));
        let Some(next) = page.body["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
        between(number).await;
    }
    seen
}

#[tokio::test]
async fn pages_stay_correct_while_links_come_and_go() {
    let app = TestApp::start().await;
    let user = app.user();
    for number in 0..10 {
        user.link(&format!("old{number}"), "https://example.com/")
            .await;
    }
    for sort in [
        "created_at",
        "-created_at",
        "code",
        "-code",
        "updated_at",
        "-updated_at",
    ] {
        let seen = walk(&user, &format!("limit=3&sort={sort}"), async |page| {
            // On both sides of every position, and one that was already shown goes.
            for name in ["aa", "zz"] {
                user.link(&format!("{name}{page}"), "https://example.com/")
                    .await;
            }
        })
        .await;
        let mut old: Vec<&String> = seen.iter().filter(|code| code.starts_with("old")).collect();
        old.sort();
        old.dedup();
        assert_eq!(old.len(), 10, "{sort}: {seen:?}");
        let mut all = seen.clone();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), seen.len(), "{sort}: nothing twice: {seen:?}");
        for code in user
            .links()
            .await
            .keys()
            .filter(|code| !code.starts_with("old"))
        {
            user.delete(&format!("/shortener/links/{code}")).await;
        }
    }
    let mut deleted = Vec::new();
    let seen = walk(&user, "limit=4&sort=code", async |page| {
        let code = format!("old{}", page * 4 + 3);
        assert_eq!(
            user.delete(&format!("/shortener/links/{code}"))
                .await
                .status,
            204
        );
        deleted.push(code);
    })
    .await;
    assert_eq!(
        seen.len(),
        10,
        "the link under the cursor may go: {seen:?} without {deleted:?}"
    );
}

#[tokio::test]
async fn the_order_is_the_one_asked_for() {
    let app = TestApp::start().await;
    let user = app.user();
    for code in ["m", "Z", "a"] {
        user.link(code, "https://example.com/").await;
    }
    user.patch("Z", json!({ "title": "touched" })).await;
    let order = async |sort: &str| {
        codes(&user.get(&format!("/shortener/links{sort}")).await.body).join(" ")
    };
    assert_eq!(order("").await, "a Z m", "newest first");
    assert_eq!(order("?sort=created_at").await, "m Z a");
    assert_eq!(order("?sort=code").await, "Z a m");
    assert_eq!(order("?sort=-code").await, "m a Z");
    assert_eq!(order("?sort=-updated_at").await, "Z a m");
    assert_eq!(order("?sort=updated_at").await, "m a Z");
}

#[tokio::test]
async fn a_search_looks_at_code_url_and_title_in_any_case() {
    let app = TestApp::start().await;
    let user = app.user();
    user.post(json!({ "code": "Alpha", "url": "https://example.com/", "title": "ÜBER uns" }))
        .await;
    user.post(json!({ "code": "beta", "url": "https://alphabet.example/100%25_sure" }))
        .await;
    user.post(json!({ "code": "gamma", "url": "https://example.org/" }))
        .await;
    let found = async |search: &str| {
        let page = user
            .get(&format!("/shortener/links?sort=code&search={search}"))
            .await;
        codes(&page.body).join(" ")
    };
    assert_eq!(found("alpha").await, "Alpha beta");
    assert_eq!(found("%C3%BCber").await, "Alpha");
    assert_eq!(found("example.ORG").await, "gamma");
    assert_eq!(found("100%2525_").await, "beta");
    assert_eq!(found("%25").await, "beta", "no wildcard");
    assert_eq!(found("_").await, "beta", "no wildcard");
    assert_eq!(found("nothing").await, "");
    assert_eq!(found("").await, "Alpha beta gamma");
    assert_eq!(found("'%3B%20DROP%20TABLE%20links").await, "");
    let seen = walk(&user, "limit=1&search=alpha", async |_| {}).await;
    assert_eq!(seen, ["beta", "Alpha"]);
}

#[tokio::test]
async fn queries_that_make_no_sense_are_refused() {
    let app = TestApp::start().await;
    let user = app.user();
    user.link("a", "https://example.com/").await;
    user.link("b", "https://example.com/").await;
    let page = user.get("/shortener/links?limit=1&sort=code").await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "query"),
        ("limit=ten", "query"),
        ("limit=99999999999999999999", "query"),
        ("sort=url", "sort"),
        ("sort=", "sort"),
        ("sort=code%20DESC", "sort"),
        ("cursor=", "cursor"),
        ("cursor=!!", "cursor"),
        ("cursor=AAAA", "cursor"),
        (&format!("cursor={cursor}&sort=-code"), "cursor"),
        (&format!("search={}", "x".repeat(201)), "search"),
        ("tag=a", "query"),
        ("limit=1&limit=2", "query"),
    ] {
        let answer = user.get(&format!("/shortener/links?{query}")).await;
        answer.is_problem(422);
        assert_eq!(
            answer.body["errors"][0]["field"], field,
            "{query}: {answer:?}"
        );
    }
    user.get("/shortener/links?limit=0&sort=x")
        .await
        .faults(&["limit", "sort"]);
}
