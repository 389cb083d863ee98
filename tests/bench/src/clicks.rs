//! A backlog of clicks, as redirectors publish them.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::Context as _;
use async_nats::HeaderMap;
use async_nats::jetstream;
use events::{Click, Partition, click, streams, subjects};
use rand::Rng as _;
use serde_json::{Value, json};
use uuid::Uuid;

/// Clicks in a message: what a redirector sends under load.
const BATCH: u64 = 500;
/// Over how many spools they are spread, as several redirectors would.
const SPOOLS: u64 = 4;
/// How many messages may be on their way.
const IN_FLIGHT: usize = 64;
/// Over how long the clicks were made, in milliseconds: a night without analytics.
const SPAN_MS: u64 = 8 * 60 * 60 * 1000;

/// What is to be published.
pub struct Backlog {
    pub clicks: u64,
    /// How many different links they are of; see [`link_id`].
    pub links: u32,
    pub owner_id: Uuid,
    /// When the newest was made.
    pub now_ms: i64,
}

/// The id of the link `c<number>`, the same that run.py writes into the database.
fn link_id(number: u32) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(number))
}

/// Publishes them; how long that took.
pub async fn publish(nats: &str, backlog: &Backlog) -> anyhow::Result<Value> {
    let client = async_nats::connect(nats).await?;
    let jetstream = jetstream::new(client);
    let mut headers = HeaderMap::new();
    headers.insert("content-type", events::CONTENT_TYPE);
    headers.insert("Nats-Expected-Stream", streams::CLICKS.name);
    let spools: Vec<Uuid> = (0..SPOOLS).map(|_| Uuid::now_v7()).collect();
    let mut next = vec![0_u64; spools.len()];
    let mut on_their_way = VecDeque::new();
    let agents = agents();
    let started = Instant::now();
    let (mut done, mut turn, mut bytes) = (0, 0, 0);
    while done < backlog.clicks {
        let count = BATCH.min(backlog.clicks - done);
        let encoded: Vec<Vec<u8>> = (done..done + count)
            .map(|number| {
                let mut bytes = Vec::with_capacity(256);
                click::encode(&draw(backlog, number, &agents), &mut bytes);
                bytes
            })
            .collect();
        let clicks = encoded.iter().map(Vec::as_slice);
        let message = click::encode_batch(spools[turn], next[turn], clicks);
        bytes += message.len();
        let subject = subjects::clicks(Partition::WHOLE, spools[turn]);
        let sent = jetstream
            .publish_with_headers(subject, headers.clone(), message.into())
            .await?;
        on_their_way.push_back(sent.into_future());
        if on_their_way.len() >= IN_FLIGHT {
            let oldest = on_their_way.pop_front().context("there is one")?;
            oldest.await.context("the stream did not take a batch")?;
        }
        next[turn] += count;
        turn = (turn + 1) % spools.len();
        done += count;
    }
    for sent in on_their_way {
        sent.await.context("the stream did not take a batch")?;
    }
    Ok(json!({
        "clicks": done,
        "payload_bytes": bytes,
        "seconds": started.elapsed().as_secs_f64(),
    }))
}

/// Few links have most of the clicks, and few user agents, referrers and countries most visitors.
fn draw(backlog: &Backlog, number: u64, agents: &[String]) -> Click {
    const COUNTRIES: [&str; 12] = [
        "AT", "DE", "US", "FR", "GB", "IT", "ES", "NL", "PL", "CZ", "CH", "JP",
    ];
    const LANGUAGES: [&str; 6] = ["de", "en", "fr", "es", "it", "ja"];
    let mut random = rand::rng();
    let link = skewed(&mut random, backlog.links);
    let age_ms = (backlog.clicks - number) * SPAN_MS / backlog.clicks;
    Click {
        link_id: link_id(link),
        owner_id: backlog.owner_id,
        code: format!("c{link}").into(),
        at_ms: backlog.now_ms - age_ms.cast_signed(),
        hints: events::Hints::NONE,
        referrer: match skewed(&mut random, 60) {
            0..20 => "".into(),
            host => format!("www.site{host}.example").into(),
        },
        user_agent: agents[skewed(&mut random, 400) as usize].as_str().into(),
        language: LANGUAGES[skewed(&mut random, 6) as usize].into(),
        country: Some(COUNTRIES[skewed(&mut random, 12) as usize].into()),
        visitor: random.random(),
    }
}

/// One of the numbers below `count`, the small ones more often.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative and below `count`"
)]
fn skewed(random: &mut impl rand::Rng, count: u32) -> u32 {
    let part: f64 = random.random();
    (f64::from(count) * part * part * part) as u32
}

/// Four hundred user agents, as a busy site sees them on a day: few browsers, many versions.
fn agents() -> Vec<String> {
    (0..400)
        .map(|number| {
            let (browser, version) = (number % 5, 100 + number / 5);
            match browser {
                0 => format!(
                    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                     Chrome/{version}.0.0.0 Mobile Safari/537.36"
                ),
                1 => format!(
                    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like \
                     Gecko) Chrome/{version}.0.0.0 Safari/537.36"
                ),
                2 => format!(
                    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_{} like Mac OS X) AppleWebKit/605.1.15 \
                     (KHTML, like Gecko) Version/18.{} Mobile/15E148 Safari/604.1",
                    version % 7,
                    version
                ),
                3 => format!(
                    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{version}.0) Gecko/20100101 \
                     Firefox/{version}.0"
                ),
                _ => format!("Mozilla/5.0 (compatible; Somebot/{version}; +https://bot.example/)"),
            }
        })
        .collect()
}
