//! A message of the feed: a `CloudEvent` in NATS binary mode, and what the writer finds again in it.

use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::{HeaderMap, HeaderValue};
use events::{Partition, streams, subjects};
use jiff::Timestamp;
use url::Url;

use crate::store::feed::{Entry, Origin};

/// What happened.
const TYPE: &str = "kurz.click.v1";
/// The id of the row in the outbox.
const ROW: &str = "Kurz-Row";
/// Where the click was read: `<epoch>/<sequence>-<index>/<nanoseconds since 1970>`.
const ORIGIN: &str = "Kurz-Origin";
/// The click's identity.
const ID: &str = "ce-id";

/// Subject and message of an entry, behind the sequence `expected`.
pub fn build(
    entry: &Entry,
    expected: u64,
    partition: Partition,
    public_url: &Url,
) -> (String, PublishMessage) {
    let at = Timestamp::from_millisecond(entry.at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let Origin {
        epoch,
        sequence,
        index,
        stored_at_ns,
    } = &entry.origin;
    let source = format!(
        "{}/analytics/feed",
        public_url.as_str().trim_end_matches('/')
    );
    let mut headers = HeaderMap::new();
    headers.insert("ce-specversion", "1.0");
    headers.insert(ID, entry.click.as_str());
    headers.insert("ce-type", TYPE);
    headers.insert("ce-source", source);
    headers.insert("ce-subject", entry.code.as_str());
    headers.insert("ce-time", at.to_string());
    headers.insert("content-type", "application/json");
    headers.insert(ROW, entry.id.to_string());
    headers.insert(ORIGIN, format!("{epoch}/{sequence}-{index}/{stored_at_ns}"));
    let message = PublishMessage::build()
        .payload(entry.body.clone().into())
        .headers(headers)
        .expected_stream(streams::FEED.name_in(partition))
        .expected_last_sequence(expected);
    let subject = subjects::feed(partition, entry.owner, &entry.code);
    (subject, message)
}

/// What a message says of the row that it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its sequence in FEED.
    pub sequence: u64,
    /// The id of its row.
    pub row: i64,
    /// Its click.
    pub click: String,
    /// Where the click was read.
    pub origin: Origin,
}

/// Reads a message of the stream; none if it is not one that the writer published.
pub fn read(message: &StreamMessage) -> Option<Published> {
    let header = |name: &str| message.headers.get(name).map(HeaderValue::as_str);
    Some(Published {
        sequence: message.sequence,
        row: header(ROW)?.parse().ok()?,
        click: header(ID)?.to_owned(),
        origin: origin(header(ORIGIN)?)?,
    })
}

fn origin(text: &str) -> Option<Origin> {
    // The epoch may be any text: read from the end.
    let (rest, stored_at_ns) = text.rsplit_once('/')?;
    let (epoch, place) = rest.rsplit_once('/')?;
    let (sequence, index) = place.split_once('-')?;
    Some(Origin {
        epoch: epoch.to_owned(),
        sequence: sequence.parse().ok()?,
        index: index.parse().ok()?,
        stored_at_ns: stored_at_ns.parse().ok()?,
    })
}
