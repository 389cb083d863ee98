//! Messages that can't be read are set aside, with the reason.

use anyhow::Context as _;
use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use chassis::bus::{Bus, StoredMessage};
use events::subjects;
use metrics::counter;

/// Why the message is dead.
pub const REASON: &str = "Kurz-Reason";
/// Where it was published.
pub const SUBJECT: &str = "Kurz-Subject";
/// Its sequence in the stream that it came from.
pub const SEQUENCE: &str = "Kurz-Sequence";
/// The identity of the stream that it came from.
const EPOCH: &str = "Kurz-Epoch";
/// Says that the payload had to be cut, and how long it was.
pub const CUT: &str = "Kurz-Cut";

/// The longest reason that is kept, in bytes: it may quote the message.
const MAX_REASON: usize = 500;
/// What the headers may take of the largest message that the server accepts.
const HEADERS: usize = 4_096;

/// Publishes an unreadable message of `stream` to `dead.v1.<stream>`, and waits until it is stored.
/// A message that is buried again soon (after a crash) is stored once.
pub async fn bury(
    bus: &Bus,
    stream: &str,
    epoch: &str,
    message: &StoredMessage,
    reason: &str,
) -> anyhow::Result<()> {
    let reason = one_line(reason);
    let mut headers = HeaderMap::new();
    headers.insert(REASON, reason.as_str());
    headers.insert(SUBJECT, message.subject.as_str());
    headers.insert(SEQUENCE, message.sequence.to_string());
    headers.insert(EPOCH, epoch);
    let limit = bus
        .client()
        .server_info()
        .max_payload
        .saturating_sub(HEADERS);
    let mut payload = message.payload.clone();
    if payload.len() > limit {
        headers.insert(CUT, payload.len().to_string());
        payload.truncate(limit);
    }
    let publish = PublishMessage::build()
        .payload(payload)
        .headers(headers)
        .message_id(format!("{stream}:{epoch}:{}", message.sequence));
    bus.jetstream()
        .send_publish(subjects::dead(stream), publish)
        .await
        .context("a dead message can't be sent")?
        .await
        .context("a dead message can't be stored")?;
    counter!("kurz_dead_messages_total", "stream" => stream.to_owned()).increment(1);
    tracing::error!(
        stream,
        subject = message.subject,
        sequence = message.sequence,
        reason,
        "unreadable message set aside"
    );
    Ok(())
}

/// What a header value may hold: one line, not too long.
fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let end = (0..=MAX_REASON.min(line.len()))
        .rev()
        .find(|&end| line.is_char_boundary(end));
    line.truncate(end.unwrap_or_default());
    line
}
