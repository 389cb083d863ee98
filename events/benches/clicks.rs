//! The codec of clicks: one into the spool, a batch around many, and a batch back.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use events::click::{decode_head, encode, encode_batch};
use events::{Click, ClickBatch, Hints};
use uuid::Uuid;

/// What a redirector sends under load.
const BATCH: u64 = 500;

fn main() {
    divan::main();
}

fn click(number: u64) -> Click {
    Click {
        link_id: Uuid::from_u128(number.into()),
        owner_id: Uuid::from_u128(1),
        code: format!("c{number}").into(),
        at_ms: 1_795_000_000_000 + number.cast_signed(),
        hints: Hints::NONE,
        referrer: "news.example.org".into(),
        user_agent: format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{}.0.0.0 Safari/537.36",
            100 + number % 40
        )
        .into(),
        language: "de".into(),
        country: Some("AT".into()),
        visitor: number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

fn encoded() -> Vec<Vec<u8>> {
    (0..BATCH)
        .map(|number| {
            let mut bytes = Vec::new();
            encode(&click(number), &mut bytes);
            bytes
        })
        .collect()
}

fn batch() -> Vec<u8> {
    encode_batch(Uuid::from_u128(7), 0, encoded().iter().map(Vec::as_slice))
}

#[divan::bench]
fn encode_one(bencher: Bencher) {
    let (click, mut bytes) = (click(1), Vec::new());
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        bytes.clear();
        encode(black_box(&click), &mut bytes);
        bytes.len()
    });
}

#[divan::bench]
fn encode_batch_of_500(bencher: Bencher) {
    let clicks = encoded();
    bencher
        .counter(ItemsCount::new(clicks.len()))
        .bench_local(|| encode_batch(Uuid::from_u128(7), 0, clicks.iter().map(Vec::as_slice)));
}

#[divan::bench]
fn decode_batch_of_500(bencher: Bencher) {
    let bytes = batch();
    bencher
        .counter(ItemsCount::new(BATCH))
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| ClickBatch::decode(black_box(&bytes)).expect("it was encoded here"));
}

#[divan::bench]
fn decode_head_of_500(bencher: Bencher) {
    let bytes = batch();
    bencher
        .counter(ItemsCount::new(BATCH))
        .bench_local(|| decode_head(black_box(&bytes)).expect("it was encoded here"));
}
