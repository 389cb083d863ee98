//! What the statistics say.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use events::{Click, Hints, LinkRecord, LinkState, streams, subjects};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::feeder::CURL;
use crate::support::{Link, NOW, TestApp, at};

fn clicks(series: &Value) -> Vec<u64> {
    series["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["clicks"].as_u64().unwrap())
        .collect()
}

fn codes(page: &Value) -> Vec<&str> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["code"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn totals_tell_people_from_bots() {
    let app = TestApp::start().await;
    let alice = app.user();
    let link = Link::new(&alice, "docs");
    let day = |day: u8| link.click(&format!("2025-11-0{day}T10:00:00Z"));
    app.spool()
        .publish(vec![
            day(1),
            Click {
                visitor: 2,
                ..day(1)
            },
            day(1),
            // On another day nobody is recognised.
            day(2),
            Click {
                user_agent: CURL.into(),
                ..day(3)
            },
            Click {
                hints: Hints::HEAD,
                ..day(4)
            },
        ])
        .await;
    app.counted(&alice, 5).await;
    let totals = json!({
        "code": "docs", "deleted": false, "clicks": 5, "humans": 4, "bots": 1, "visitors": 3,
        "first_click_at": "2025-11-01T10:00:00Z", "last_click_at": "2025-11-03T10:00:00Z",
    });
    assert_eq!(app.ok(&alice, "/links/docs").await, totals);
    let kinds = app.ok(&alice, "/links/docs/breakdown/kind").await;
    assert_eq!(
        kinds["items"],
        json!([
            { "value": "human", "clicks": 4 },
            { "value": "bot", "clicks": 1 },
            { "value": "head", "clicks": 1 },
        ])
    );
    assert_eq!(
        app.ok(&alice, "/summary").await,
        json!({
            "links": 1, "clicks": 5, "humans": 4, "bots": 1, "visitors": 3,
            "first_click_at": "2025-11-01T10:00:00Z", "last_click_at": "2025-11-03T10:00:00Z",
        })
    );
}

#[tokio::test]
async fn days_follow_the_clock_of_the_time_zone() {
    let app = TestApp::start().await;
    let alice = app.user();
    let link = Link::new(&alice, "docs");
    let times = [
        // Summer time begins in Berlin on 30 March 2025.
        "2025-03-29T22:30:00Z", // 29th, 23:30
        "2025-03-29T23:00:00Z", // 30th, 00:00
        "2025-03-30T21:59:59Z", // 30th, 23:59:59
        "2025-03-30T22:00:00Z", // 31st, 00:00
        // Midnight in India is at 18:30 in UTC.
        "2025-07-01T18:29:59Z",
        "2025-07-01T18:30:00Z",
        "2025-07-01T18:44:59Z",
    ];
    app.spool()
        .publish(times.map(|time| link.click(time)).to_vec())
        .await;
    app.counted(&alice, 7).await;

    let path = "/links/docs/series?from=2025-03-29&to=2025-04-01&timezone=Europe/Berlin";
    let berlin = app.ok(&alice, path).await;
    assert_eq!(clicks(&berlin), [1, 2, 1]);
    assert_eq!(berlin["interval"], "day");
    assert_eq!(berlin["timezone"], "Europe/Berlin");
    assert_eq!(
        berlin["items"][1],
        json!({
            "at": "2025-03-29T23:00:00Z", "local": "2025-03-30T00:00:00+01:00",
            "clicks": 2, "humans": 2, "bots": 0, "visitors": null,
        })
    );
    assert_eq!(berlin["items"][2]["at"], "2025-03-30T22:00:00Z");

    let path = "/links/docs/series?from=2025-06-30&to=2025-07-04&timezone=Asia/Kolkata";
    let kolkata = app.ok(&alice, path).await;
    assert_eq!(clicks(&kolkata), [0, 1, 2, 0]);

    let path = "/links/docs/series?from=2025-07-01T18:00:00Z&to=2025-07-01T19:00:00Z\
                &interval=hour&timezone=Asia/Kolkata";
    assert_eq!(clicks(&app.ok(&alice, path).await), [1, 2]);

    let path = "/links/docs/series?from=2025-03-30&to=2025-03-31&interval=hour\
                &timezone=Europe/Berlin";
    let hours = app.ok(&alice, path).await;
    assert_eq!(hours["items"].as_array().unwrap().len(), 23);

    let path = "/links/docs/series?from=2025-01-01&to=2026-01-01&interval=month";
    assert_eq!(
        clicks(&app.ok(&alice, path).await),
        [0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 0, 0]
    );
    let path = "/links/docs/series?from=2025-03-24&to=2025-04-07&interval=week";
    assert_eq!(clicks(&app.ok(&alice, path).await), [4, 0]);
}

#[tokio::test]
async fn a_series_shows_the_last_thirty_days_and_visitors_by_day() {
    let app = TestApp::start().await;
    let alice = app.user();
    let link = Link::new(&alice, "docs");
    let visit = |time: &str, visitor| Click {
        visitor,
        ..link.click(time)
    };
    app.spool()
        .publish(vec![
            visit("2025-10-25T23:59:59Z", 1),
            visit("2025-10-26T00:00:00Z", 1),
            visit("2025-11-24T11:00:00Z", 1),
            visit("2025-11-24T11:00:00Z", 1),
            visit("2025-11-24T11:59:59Z", 2),
        ])
        .await;
    app.counted(&alice, 5).await;
    let series = app.ok(&alice, "/links/docs/series").await;
    let items = series["items"].as_array().unwrap();
    assert_eq!(items.len(), 30);
    assert_eq!(items[0]["at"], "2025-10-26T00:00:00Z");
    assert_eq!(items[0]["clicks"], 1);
    assert_eq!(items[1]["visitors"], 0);
    assert_eq!(items[29]["clicks"], 3);
    assert_eq!(items[29]["visitors"], 2);
    assert_eq!(clicks(&series).iter().sum::<u64>(), 4);
    let hours = app
        .ok(&alice, "/links/docs/series?interval=hour&from=2025-11-24")
        .await;
    assert_eq!(clicks(&hours), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    assert_eq!(hours["items"][11]["visitors"], Value::Null);
}

#[tokio::test]
async fn a_breakdown_is_read_page_by_page() {
    let app = TestApp::start().await;
    let alice = app.user();
    let link = Link::new(&alice, "docs");
    let from = |referrer: &str| Click {
        referrer: referrer.into(),
        ..link.click(NOW)
    };
    let referrers = ["b", "a", "c", "c", "", "", "", "d:e", "a", "é"];
    app.spool().publish(referrers.map(from).to_vec()).await;
    app.counted(&alice, 10).await;

    let mut path = "/links/docs/breakdown/referrer?limit=2".to_owned();
    let mut pages = Vec::new();
    loop {
        let page = app.ok(&alice, &path).await;
        pages.push(page["items"].clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/links/docs/breakdown/referrer?limit=2&cursor={cursor}");
    }
    let entry = |value: &str, clicks: u64| json!({ "value": value, "clicks": clicks });
    assert_eq!(
        pages,
        [
            json!([entry("", 3), entry("a", 2)]),
            json!([entry("c", 2), entry("b", 1)]),
            json!([entry("d:e", 1), entry("é", 1)]),
        ]
    );
    for (dimension, value) in [
        ("country", "DE"),
        ("browser", "Firefox"),
        ("os", "Linux"),
        ("device", "desktop"),
        ("language", "de"),
        ("kind", "human"),
    ] {
        let breakdown = app
            .ok(&alice, &format!("/links/docs/breakdown/{dimension}"))
            .await;
        assert_eq!(breakdown["dimension"], dimension);
        assert_eq!(breakdown["items"], json!([entry(value, 10)]), "{dimension}");
        assert_eq!(breakdown["next_cursor"], Value::Null);
    }
}

#[tokio::test]
async fn links_are_listed_from_the_newest_on_or_by_their_codes() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.user(), app.user());
    let links = ["a", "b", "c", "d", "e"].map(|code| Link::new(&alice, code));
    let mut spool = app.spool();
    spool
        .publish(links.iter().map(|link| link.click(NOW)).collect())
        .await;
    spool.publish(vec![Link::new(&bob, "z").click(NOW)]).await;
    app.counted(&alice, 5).await;
    app.counted(&bob, 1).await;

    let first = app.ok(&alice, "/links?limit=2").await;
    assert_eq!(codes(&first), ["e", "d"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = app
        .ok(&alice, &format!("/links?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(codes(&second), ["c", "b"]);
    let cursor = second["next_cursor"].as_str().unwrap();
    let last = app
        .ok(&alice, &format!("/links?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(codes(&last), ["a"]);
    assert_eq!(last["next_cursor"], Value::Null);

    let chosen = app.ok(&alice, "/links?codes=d,z,b,unknown,d").await;
    assert_eq!(codes(&chosen), ["b", "d"]);
    assert_eq!(codes(&app.ok(&bob, "/links").await), ["z"]);
    assert_eq!(
        app.ok(&app.user(), "/links").await,
        json!({ "items": [], "next_cursor": null })
    );
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_not_there() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.user(), app.user());
    app.spool()
        .publish(vec![Link::new(&alice, "docs").click(NOW)])
        .await;
    app.counted(&alice, 1).await;
    for path in ["", "/series", "/breakdown/kind", "/stream"] {
        let (status, others) = app.get(&bob, &format!("/links/docs{path}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        // Nothing tells a link of somebody else from one that never was.
        let (_, unknown) = app.get(&bob, &format!("/links/nobody-has-it{path}")).await;
        assert_eq!(others, unknown);
    }
    assert_eq!(app.ok(&bob, "/summary").await["clicks"], 0);
    assert_eq!(
        app.ok(&bob, "/summary").await["first_click_at"],
        Value::Null
    );
}

#[tokio::test]
async fn a_code_that_was_taken_again_starts_at_zero() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.user(), app.user());
    let (old, hers) = (Link::new(&alice, "docs"), Link::new(&bob, "docs"));
    let new = Link::new(&alice, "docs");
    let mut spool = app.spool();
    spool
        .publish(vec![
            old.click(NOW),
            old.click(NOW),
            hers.click(NOW),
            new.click(NOW),
        ])
        .await;
    app.counted(&alice, 3).await;
    assert_eq!(app.ok(&alice, "/links/docs").await["clicks"], 1);
    assert_eq!(app.ok(&bob, "/links/docs").await["clicks"], 1);
    assert_eq!(codes(&app.ok(&alice, "/links").await), ["docs", "docs"]);
    let chosen = app.ok(&alice, "/links?codes=docs").await;
    assert_eq!(chosen["items"][0]["clicks"], 1);
    assert_eq!(chosen["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_link_that_nobody_followed_has_statistics_too() {
    let app = TestApp::start().await;
    let alice = app.user();
    let link = Link::new(&alice, "docs");
    let bus = app.running.bus();
    bus.declare(&streams::LINKS).await.unwrap();
    let record = LinkRecord {
        link_id: link.id,
        owner_id: alice.id,
        code: "docs".into(),
        url: "https://example.com/".into(),
        version: 1,
        state: LinkState::Active,
        valid_from_ms: None,
        valid_until_ms: None,
        max_clicks: None,
        fallback_url: None,
        redirect_status: 302,
    };
    bus.jetstream()
        .publish(subjects::link("docs"), record.encode().into())
        .await
        .unwrap()
        .await
        .unwrap();
    chassis::testing::eventually(|| async {
        (app.ok(&alice, "/summary").await["links"] == 1).then_some(())
    })
    .await;
    let totals = app.ok(&alice, "/links/docs").await;
    assert_eq!(totals["clicks"], 0);
    assert_eq!(totals["first_click_at"], Value::Null);
    assert_eq!(clicks(&app.ok(&alice, "/links/docs/series").await), [0; 30]);
    let breakdown = app.ok(&alice, "/links/docs/breakdown/country").await;
    assert_eq!(breakdown["items"], json!([]));
}

#[tokio::test]
async fn a_range_is_in_whole_buckets() {
    let app = TestApp::start().await;
    let alice = app.user();
    let link = Link::new(&alice, "docs");
    let early = link.click("2025-11-01T00:00:01Z");
    let late = link.click("2025-11-02T23:59:59Z");
    app.spool().publish(vec![early, late]).await;
    app.counted(&alice, 2).await;
    let path = "/links/docs/series?from=2025-11-01T12:00:00Z&to=2025-11-02T12:00:00Z";
    let series = app.ok(&alice, path).await;
    assert_eq!(clicks(&series), [1, 1]);
    let first = series["items"][0]["at"].as_str().unwrap();
    assert_eq!(at(first), at("2025-11-01T00:00:00Z"));
}
