//! Reads the feed of one account: one line for each click, none missing and none twice.
//!
//! ```sh
//! cargo run -p e2e --example feed -- nats://127.0.0.1:4222 nats.nk billing-0190b3a4-…
//! ```
//!
//! The arguments: the server, the file with the seed, and the name of the durable consumer, as
//! `kurz subscriber` tells them.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a program for a terminal"
)]

use anyhow::Context as _;
use async_nats::ConnectOptions;
use async_nats::jetstream;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{AckKind, Message};
use futures_util::StreamExt as _;
use serde_json::Value;

/// Where a subscriber reaches the streams of kurz: not at the usual place.
const API: &str = "KURZ.API";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, seed, name] = arguments.as_slice() else {
        anyhow::bail!("usage: feed SERVER SEED CONSUMER");
    };
    let seed = tokio::fs::read_to_string(seed)
        .await
        .with_context(|| format!("can't read {seed}"))?;
    let options = ConnectOptions::with_nkey(seed.trim().to_owned());
    let client = options.connect(server).await?;
    // A subscriber may not look at the stream itself, only at its own consumer.
    let stream = jetstream::with_prefix(client, API)
        .get_stream_no_info("FEED")
        .await?;
    let consumer: PullConsumer = stream
        .get_consumer(name)
        .await
        .map_err(anyhow::Error::from_boxed)
        .context("no such consumer: was the feed's operator asked to restart or reload?")?;
    let mut messages = consumer.messages().await?;
    loop {
        let message = tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            message = messages.next() => message.context("the server ended the subscription")?,
        };
        // A lost connection is made again by itself. What was not acknowledged comes again.
        let taken = match message {
            Ok(message) => take(&message).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = taken {
            eprintln!("{error:#}: going on");
        }
    }
}

/// Works on one click, then acknowledges it: in this order, so that a crash in between repeats a
/// click and never loses one.
async fn take(message: &Message) -> anyhow::Result<()> {
    let id = message.headers.as_ref().and_then(|all| all.get("ce-id"));
    let click: Option<Value> = serde_json::from_slice(&message.payload).ok();
    let (Some(id), Some(click)) = (id, click) else {
        // No click, and it never will be one: don't hand it out again.
        eprintln!("{} is no click", message.subject);
        return message
            .ack_with(AckKind::Term)
            .await
            .map_err(anyhow::Error::from_boxed);
    };
    // Above 1 only after an acknowledgement that was missed. Whoever writes into a database puts
    // the id under a unique key, and the second time changes nothing.
    let delivery = message.info().map_err(anyhow::Error::from_boxed)?.delivered;
    println!("{id} delivery {delivery}: {click}");
    // Waits until the server has it: nothing acknowledged is delivered again.
    message
        .double_ack()
        .await
        .map_err(anyhow::Error::from_boxed)
}
