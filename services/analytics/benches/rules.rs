//! The rules: what a user agent says, for one that is seen for the first time and for one that is
//! known; and a whole batch, decoded and classified as before it is counted.

use analytics::parts::{Message, Rules};
use divan::Bencher;
use divan::counter::ItemsCount;
use events::{Click, ClickBatch, Hints};
use uuid::Uuid;

fn main() {
    divan::main();
}

fn click(version: u32) -> Click {
    Click {
        link_id: Uuid::from_u128(1),
        owner_id: Uuid::from_u128(1),
        code: "c1".into(),
        at_ms: 1_795_000_000_000,
        hints: Hints::NONE,
        referrer: "news.example.org".into(),
        user_agent: format!(
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{version}.0.0.0 Mobile Safari/537.36"
        )
        .into(),
        language: "de".into(),
        country: None,
        visitor: 1,
    }
}

#[divan::bench]
fn compile() -> Rules {
    Rules::new()
}

#[divan::bench]
fn first_seen(bencher: Bencher) {
    let (rules, mut versions) = (Rules::new(), 0..);
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| click(versions.next().expect("it does not end")))
        .bench_local_refs(|click| rules.classify(click));
}

#[divan::bench]
fn known(bencher: Bencher) {
    let (rules, mut turn) = (Rules::new(), (0..400).cycle());
    let clicks: Vec<Click> = (0..400).map(click).collect();
    for click in &clicks {
        rules.classify(click);
    }
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let click = &clicks[turn.next().expect("it cycles")];
        rules.classify(click)
    });
}

#[divan::bench]
fn batch_of_500(bencher: Bencher) {
    let (rules, spool) = (Rules::new(), Uuid::from_u128(7));
    let clicks = (0..500).map(|number| Click {
        link_id: Uuid::from_u128(number.into()),
        code: format!("c{number}").into(),
        ..click(number % 40)
    });
    let batch = ClickBatch {
        spool,
        first: 0,
        clicks: clicks.collect(),
    };
    let message = Message::new(spool, batch.encode());
    bencher
        .counter(ItemsCount::new(batch.clicks.len()))
        .bench_local(|| assert!(message.read(&rules)));
}
