//! Reads the feed of one account: one line for each click, none missing and none twice.
//!
//! ```sh
//! cargo run -p e2e --example feed -- nats://127.0.0.1:4222 subscriber.nk billing 0190b3a4-…
//! ```
//!
//! The arguments: the server, the file with the credentials, the name of the durable consumer, and
//! the id of the account. For a server that asks for no credentials give `-` as the file.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a program for a terminal"
)]

use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::{AckKind, Message};
use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt as _;
use serde_json::Value;

/// How long a click may be worked on. Then the server hands it out again.
const ACK_WAIT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, credentials, name, owner] = arguments.as_slice() else {
        anyhow::bail!("usage: feed SERVER CREDENTIALS CONSUMER ACCOUNT");
    };
    let client = connect(server, credentials, name).await?;
    let stream = jetstream::new(client)
        .get_stream_no_info("FEED")
        .await
        .context("there is no such stream")?;
    // Made once; later runs find it where they left it: its place is kept by the server.
    let config = Config {
        durable_name: Some(name.clone()),
        filter_subject: format!("feed.v1.{owner}.>"),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        ..Config::default()
    };
    let consumer = stream.get_or_create_consumer(name, config).await?;
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

/// Connects as the subscriber whose nkey seed or credentials the file holds.
async fn connect(server: &str, credentials: &str, name: &str) -> anyhow::Result<Client> {
    let options = match credentials {
        "-" => ConnectOptions::new(),
        file => {
            let text = tokio::fs::read_to_string(file)
                .await
                .with_context(|| format!("can't read {file}"))?;
            if text.trim_start().starts_with('S') {
                ConnectOptions::with_nkey(text.trim().to_owned())
            } else {
                ConnectOptions::with_credentials(&text)?
            }
        }
    };
    // A subscriber may only listen to answers of its own.
    let options = options.custom_inbox_prefix(format!("_INBOX_{name}"));
    Ok(options.connect(server).await?)
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
