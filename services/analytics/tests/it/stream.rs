//! Live streams: every click once, in order, for its owner alone.

use events::{Click, Hints};
use serde_json::json;

use crate::feeder::CURL;
use crate::support::{CLICKS, Events, Link, NOW, TestApp, number};

#[tokio::test]
async fn a_click_is_shown_as_it_is_counted() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.user(), app.user());
    let (hers, his) = (Link::new(&alice, "docs"), Link::new(&bob, "news"));
    let mut stream = app.watch(&alice, "/stream", None).await;
    let sequence = app
        .spool()
        .publish(vec![his.click(NOW), hers.click("2025-11-24T11:59:58.250Z")])
        .await;
    let event = stream.next().await.unwrap();
    assert_eq!(event.name, "click");
    // All that is shown, and nothing of the visitor.
    assert_eq!(
        event.data,
        json!({
            "code": "docs", "at": "2025-11-24T11:59:58.25Z", "kind": "human",
            "referrer": "news.example", "country": "DE", "browser": "Firefox", "os": "Linux",
            "device": "desktop", "language": "de",
        })
    );
    assert_eq!(stream.last_event_id, Some(format!("{sequence}-1")));
    // What is shown is counted.
    assert_eq!(app.ok(&alice, "/summary").await["clicks"], 1);
}

#[tokio::test]
async fn who_comes_again_gets_what_they_missed_and_nothing_twice() {
    let app = TestApp::start().await;
    let alice = app.user();
    let link = Link::new(&alice, "docs");
    let mut spool = app.spool();
    let mut stream = app.watch(&alice, "/stream", None).await;
    spool.publish(link.numbered(0..5)).await;
    spool.publish(link.numbered(5..10)).await;
    // Away in the middle of a batch.
    assert_eq!(stream.numbers(7).await, (0..7).collect::<Vec<_>>());
    let last = stream.last_event_id.take().unwrap();
    drop(stream);
    spool.publish(link.numbered(10..15)).await;
    app.counted(&alice, 15).await;
    let mut stream = app.watch(&alice, "/stream", Some(&last)).await;
    assert_eq!(stream.numbers(8).await, (7..15).collect::<Vec<_>>());
    spool.publish(link.numbered(15..20)).await;
    assert_eq!(stream.numbers(5).await, (15..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reader_that_comes_and_goes_under_load_sees_each_click_once() {
    const BATCHES: usize = 150;
    let app = TestApp::start().await;
    let alice = app.user();
    let link = Link::new(&alice, "docs");
    let mut stream = app.watch(&alice, "/stream", None).await;
    let publishing = async {
        let mut spool = app.spool();
        for batch in 0..BATCHES {
            spool
                .publish(link.numbered(batch * 7..(batch + 1) * 7))
                .await;
        }
    };
    let reading = async {
        let mut seen = Vec::new();
        while seen.len() < BATCHES * 7 {
            for _ in 0..23.min(BATCHES * 7 - seen.len()) {
                seen.push(number(&stream.next().await.unwrap()));
            }
            let last = stream.last_event_id.clone();
            stream = app.watch(&alice, "/stream", last.as_deref()).await;
        }
        seen
    };
    let ((), seen) = tokio::join!(publishing, reading);
    assert_eq!(seen, (0..BATCHES * 7).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_id_from_before_the_first_click_resumes_too() {
    let app = TestApp::start().await;
    let alice = app.user();
    let link = Link::new(&alice, "docs");
    let stream = app.watch(&alice, "/stream", None).await.opened().await;
    let last = stream.last_event_id.clone().unwrap();
    drop(stream);
    app.spool().publish(link.numbered(0..3)).await;
    app.counted(&alice, 3).await;
    let mut stream = app
        .watch(&alice, &format!("/stream?last_event_id={last}"), None)
        .await;
    assert_eq!(stream.numbers(3).await, [0, 1, 2]);
}

#[tokio::test]
async fn what_the_stream_no_longer_holds_is_a_gap() {
    let app = TestApp::start().await;
    let alice = app.user();
    let link = Link::new(&alice, "docs");
    let mut spool = app.spool();
    for first in [0, 2, 4] {
        spool.publish(link.numbered(first..first + 2)).await;
    }
    app.counted(&alice, 6).await;
    let clicks = app
        .running
        .bus()
        .jetstream()
        .get_stream(CLICKS)
        .await
        .unwrap();
    clicks.purge().sequence(3).await.unwrap();

    let mut stream = app.watch(&alice, "/stream", Some("1-0")).await;
    let gap = stream.next().await.unwrap();
    assert_eq!(gap.name, "gap");
    assert_eq!(
        (&gap.data["first_sequence"], &gap.data["last_sequence"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(stream.numbers(2).await, [4, 5]);

    // Nothing at all is left, and nothing new comes.
    clicks.purge().await.unwrap();
    let mut stream = app.watch(&alice, "/stream", Some("2-1")).await;
    assert_eq!(stream.next().await.unwrap().name, "gap");
    let place = stream.last_event_id.clone();
    spool.publish(link.numbered(6..7)).await;
    assert_eq!(stream.numbers(1).await, [6]);
    // The gap is told once.
    let mut stream = app.watch(&alice, "/stream", place.as_deref()).await;
    assert_eq!(stream.numbers(1).await, [6]);

    // Whoever has seen everything has no gap.
    clicks.purge().await.unwrap();
    let mut stream = app.watch(&alice, "/stream", Some("4-4294967295")).await;
    spool.publish(link.numbered(7..8)).await;
    assert_eq!(stream.numbers(1).await, [7]);
}

#[tokio::test]
async fn an_id_from_another_stream_is_a_gap() {
    let app = TestApp::start().await;
    let alice = app.user();
    let link = Link::new(&alice, "docs");
    let mut spool = app.spool();
    spool.publish(link.numbered(0..2)).await;
    app.counted(&alice, 2).await;
    let mut stream = app.watch(&alice, "/stream", Some("9999-0")).await;
    let gap = stream.next().await.unwrap();
    assert_eq!(gap.name, "gap");
    assert_eq!(gap.data["last_sequence"], json!(null));
    spool.publish(link.numbered(2..3)).await;
    assert_eq!(stream.numbers(1).await, [2]);
}

#[tokio::test]
async fn a_stream_shows_only_what_was_asked_for() {
    let app = TestApp::start().await;
    let alice = app.user();
    let (docs, news) = (Link::new(&alice, "docs"), Link::new(&alice, "news"));
    app.spool()
        .publish(vec![docs.click(NOW), news.click(NOW)])
        .await;
    app.counted(&alice, 2).await;
    let from = "Last-Event-ID";
    let open = async |path: &str| {
        let request = app.request(&alice, path).header(from, "1-1");
        Events::of(request.send().await.unwrap())
    };
    let mut of_link = open("/links/docs/stream").await;
    let mut bots = open("/stream?kind=bot").await;
    let mut austrian = open("/stream?country=AT").await;
    let mut clicks = docs.numbered(0..4);
    clicks[1] = Click {
        user_agent: CURL.into(),
        ..clicks[1].clone()
    };
    clicks[2] = Click {
        country: Some("AT".into()),
        ..clicks[2].clone()
    };
    clicks[3] = Click {
        hints: Hints::HEAD,
        country: None,
        ..clicks[3].clone()
    };
    clicks.push(Click {
        link_id: news.id,
        code: "news".into(),
        ..clicks[0].clone()
    });
    let mut spool = app.spool();
    spool.publish(clicks).await;
    assert_eq!(of_link.numbers(4).await, [0, 1, 2, 3]);
    assert_eq!(bots.numbers(1).await, [1]);
    assert_eq!(austrian.numbers(1).await, [2]);
    // Nothing came in between.
    let end = Click {
        user_agent: CURL.into(),
        country: Some("AT".into()),
        ..docs.click(NOW)
    };
    spool
        .publish(vec![Click {
            referrer: "9.example".into(),
            ..end
        }])
        .await;
    for stream in [&mut of_link, &mut bots, &mut austrian] {
        assert_eq!(stream.numbers(1).await, [9]);
    }
}
