//! The program itself, killed in the middle of its work.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use std::process::{Child, Command, Stdio};

use chassis::testing::eventually;

use crate::bench::Bench;

/// Clicks of one message.
const CLICKS: u64 = 100;
/// Messages, each sent twice.
const MESSAGES: u64 = 120;
/// How often the program is killed.
const KILLS: u64 = 5;

/// The program `analytics`, on ports of its own.
pub fn spawn(bench: &Bench) -> Child {
    Command::new(env!("CARGO_BIN_EXE_analytics"))
        .env("KURZ_LISTEN", "127.0.0.1:0")
        .env("KURZ_ADMIN_LISTEN", "127.0.0.1:0")
        .env("KURZ_PUBLIC_URL", "http://kurz.test")
        .env("KURZ_NATS_URL", bench.nats.url())
        .env("KURZ_DATABASE", bench.folder.path().join("clicks.db"))
        .env("KURZ_JWKS_URL", "http://127.0.0.1:1/jwks.json")
        .env("KURZ_LOG", "warn")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_program_killed_in_the_middle_counts_each_click_once() {
    let bench = Bench::new().await;
    let feeder = bench.feeder().await;
    let mut program = spawn(&bench);
    // Its first start makes the database.
    feeder.publish(0..1).await;
    let numbers = bench.numbers();
    for message in 0..MESSAGES {
        let first = message * CLICKS;
        for _ in 0..2 {
            feeder.publish(first..first + CLICKS).await;
        }
        if message % (MESSAGES / KILLS) == MESSAGES / KILLS / 2 {
            // Wherever it is now: SIGKILL.
            program.kill().unwrap();
            program.wait().unwrap();
            program = spawn(&bench);
        }
    }
    let all = i64::try_from(MESSAGES * CLICKS).unwrap();
    let last = i64::try_from(MESSAGES * 2 + 1).unwrap();
    eventually(|| async { (numbers.sequence() == last).then_some(()) }).await;
    assert_eq!(numbers.humans(feeder.link_id), Some(all));
    assert_eq!(
        numbers.number("SELECT sum(visitors) FROM sums", []),
        Some(all)
    );
    assert_eq!(
        numbers.number("SELECT sum(humans) FROM bucket", []),
        Some(all)
    );
    assert!(numbers.gaps().is_empty());
    program.kill().unwrap();
    program.wait().unwrap();
}
