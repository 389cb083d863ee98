//! Hands a request to the partition that has the caller's account.
//!
//! Any analytics may be asked: it verifies the token, and so knows the account and its partition. If
//! that is its own, it answers; else it asks the one that has it, and passes the answer on as it
//! comes, also one without an end. That one verifies the token again: none trusts another.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, MatchedPath, OriginalUri, Request, State};
use axum::http::header::{self, CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use chassis::caller::Caller;
use chassis::http::MAX_BODY;
use chassis::problem::Problem;
use chassis::telemetry;
use events::Partition;
use futures_util::{StreamExt as _, future};
use metrics::counter;
use std::net::SocketAddr;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::{Url, form_urlencoded};

use crate::state::AppState;

/// Says which partition the sender takes the receiver for: who bears it is answered there or
/// refused, and not handed on again.
const MARK: HeaderName = HeaderName::from_static("kurz-partition");

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What stands for the number in the pattern of addresses.
const PLACE: &str = "{partition}";

/// How long the connection to another partition may take.
const CONNECT: Duration = Duration::from_secs(2);

/// How long another partition may say nothing. A live stream says something every 15 seconds; an
/// answer may take 30 to begin.
const SILENCE: Duration = Duration::from_secs(45);

/// Requests that are with other partitions at the same time at most, live streams among them: each
/// holds two connections.
const AT_ONCE: usize = 4_000;

/// What belongs to one connection and not to the message.
const OF_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Where the partitions are: an address with `{partition}` for the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionUrls(String);

impl PartitionUrls {
    fn of(&self, partition: Partition) -> String {
        self.0.replace(PLACE, &partition.number().to_string())
    }
}

impl FromStr for PartitionUrls {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FAULT: &str =
            "must be an http or https address with {partition} in it, and without a path";
        let pattern = text.trim_end_matches('/');
        let url: Url = pattern.replace(PLACE, "0").parse().map_err(|_| FAULT)?;
        let is_base = matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if is_base && pattern.contains(PLACE) {
            Ok(Self(pattern.to_owned()))
        } else {
            Err(FAULT)
        }
    }
}

/// The way to the other partitions; clones share it.
#[derive(Clone)]
pub struct Others {
    urls: PartitionUrls,
    client: reqwest::Client,
    places: Arc<Semaphore>,
}

impl Others {
    /// Asks nobody yet.
    pub fn new(urls: PartitionUrls) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            // They are near; what an environment says about the way outside is not for them.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .build()?;
        Ok(Self {
            urls,
            client,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }
}

/// Answers here, or has another partition answer.
pub async fn forward(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let Some(others) = app.others.clone() else {
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    let home = match home(&mut parts, &app).await {
        Ok(home) => home,
        Err(problem) => return problem.into_response(),
    };
    let mark = parts.headers.get(MARK).cloned();
    let is_ours = home == app.partition;
    match mark {
        Some(mark) if !is_ours || mark != app.partition.to_string().as_str() => {
            let detail = format!(
                "this is partition {}, and the request is for another one",
                app.partition
            );
            Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response()
        }
        _ if is_ours => next.run(Request::from_parts(parts, body)).await,
        _ => match ask(&app, &others, home, &parts, body).await {
            Ok(response) => {
                count(home, "answered");
                response
            }
            Err(problem) => {
                count(home, "failed");
                problem.into_response()
            }
        },
    }
}

fn count(home: Partition, result: &'static str) {
    let partition = home.number().to_string();
    counter!("kurz_forwarded_requests_total", "partition" => partition, "result" => result)
        .increment(1);
}

/// The partition of whoever asks: of the ticket, where there may be one, or of the token.
async fn home(parts: &mut Parts, app: &AppState) -> Result<Partition, Problem> {
    use axum::extract::FromRequestParts as _;
    if takes_tickets(parts)
        && let Some(ticket) = ticket(parts)
    {
        return ticket_partition(&ticket, app.partition)
            .ok_or_else(|| crate::error::Error::BadTicket.into());
    }
    let caller = Caller::from_request_parts(parts, app).await?;
    Ok(Partition::of_account(caller.user_id, app.partition.of()))
}

/// Whether it is the path of a live stream: nowhere else a ticket says who asks.
fn takes_tickets(parts: &Parts) -> bool {
    let path = parts.extensions.get::<MatchedPath>();
    path.is_some_and(|path| path.as_str().ends_with("/stream"))
}

fn ticket(parts: &Parts) -> Option<String> {
    let query = parts.uri.query()?;
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "ticket")
        .map(|(_, ticket)| ticket.into_owned())
}

/// The ticket that says where it was given out. Alone, a partition says nothing.
pub fn mark_ticket(secret: &str, partition: Partition) -> String {
    if partition.is_one_of_many() {
        format!("{}-{secret}", partition.number())
    } else {
        secret.to_owned()
    }
}

/// The secret in what [`mark_ticket`] made here; none in anything else.
pub fn secret_of(ticket: &str, partition: Partition) -> Option<&str> {
    if !partition.is_one_of_many() {
        return Some(ticket);
    }
    let (number, secret) = ticket.split_once('-')?;
    (number == partition.number().to_string()).then_some(secret)
}

fn ticket_partition(ticket: &str, own: Partition) -> Option<Partition> {
    let (number, _) = ticket.split_once('-')?;
    Partition::new(number.parse().ok()?, own.of())
}

async fn ask(
    app: &AppState,
    others: &Others,
    home: Partition,
    parts: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let place = others.places.clone().try_acquire_owned();
    let place = place.map_err(|_| Problem::unavailable("too many requests at once"))?;
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| {
        let detail = format!("the body is larger than {MAX_BODY} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    // The prefix of the API was taken off the other one.
    let path = parts.extensions.get::<OriginalUri>();
    let path = path.map_or(&parts.uri, |OriginalUri(uri)| uri);
    let path = path.path_and_query().map_or("/", |path| path.as_str());
    let answer = others
        .client
        .request(
            parts.method.clone(),
            format!("{}{path}", others.urls.of(home)),
        )
        .headers(headers(parts, home))
        .body(body)
        .send()
        .await;
    let answer = answer.map_err(|error| {
        tracing::warn!(partition = %home, error = format!("{:#}", anyhow!(error)), "not answered");
        Problem::unavailable("the part that has your statistics does not answer: try again")
    })?;
    if answer.status() == StatusCode::MISDIRECTED_REQUEST {
        let error = anyhow!(
            "{} is not partition {home}: do all have the same KURZ_PARTITIONS and \
             KURZ_PARTITION_URLS?",
            others.urls.of(home)
        );
        return Err(Problem::internal(&error));
    }
    Ok(pass_on(app, answer, place))
}

/// What is asked with: what came, whence it came, and whom it is for.
fn headers(parts: &Parts, home: Partition) -> HeaderMap {
    let mut headers = of_message(&parts.headers);
    headers.remove(HOST);
    // It is set anew for the body as it was read.
    headers.remove(header::CONTENT_LENGTH);
    if let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>()
        && let Ok(peer) = HeaderValue::from_str(&peer.ip().to_canonical().to_string())
    {
        headers.append(FORWARDED_FOR, peer);
    }
    if let Some(parent) = telemetry::traceparent()
        && let Ok(parent) = HeaderValue::from_str(&parent)
    {
        headers.insert("traceparent", parent);
    }
    let mark = HeaderValue::from_str(&home.to_string());
    headers.insert(MARK, mark.expect("numbers are a header value"));
    headers
}

fn of_message(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_CONNECTION) {
        headers.remove(name);
    }
    headers
}

/// The answer, as it comes. One without an end ends with this process: its client comes again.
fn pass_on(app: &AppState, answer: reqwest::Response, place: OwnedSemaphorePermit) -> Response {
    let (status, headers) = (answer.status(), of_message(answer.headers()));
    let is_endless = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let shutdown = app.shutdown.clone();
    let end = async move {
        if is_endless {
            shutdown.cancelled().await;
        } else {
            future::pending::<()>().await;
        }
    };
    let bytes = answer.bytes_stream().take_until(Box::pin(end));
    let bytes = bytes.inspect(move |_| {
        // Given back with the last byte.
        let _ = &place;
    });
    let mut response = Response::new(Body::from_stream(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_addresses_has_a_place_for_the_number() {
        let urls: PartitionUrls = "http://analytics-{partition}.pods:8080/".parse().unwrap();
        let third = Partition::new(2, 3).unwrap();
        assert_eq!(urls.of(third), "http://analytics-2.pods:8080");
        let ports: PartitionUrls = "http://127.0.0.1:808{partition}".parse().unwrap();
        assert_eq!(ports.of(third), "http://127.0.0.1:8082");
        for faulty in [
            "http://analytics:8080",
            "analytics-{partition}:8080",
            "ftp://analytics-{partition}",
            "http://analytics/{partition}",
            "http://analytics-{partition}/?x",
        ] {
            assert!(faulty.parse::<PartitionUrls>().is_err(), "{faulty}");
        }
    }

    #[test]
    fn a_ticket_says_where_it_is_good() {
        let third = Partition::new(2, 3).unwrap();
        let ticket = mark_ticket("abc", third);
        assert_eq!(ticket_partition(&ticket, third), Some(third));
        assert_eq!(secret_of(&ticket, third), Some("abc"));
        assert_eq!(secret_of(&ticket, Partition::new(1, 3).unwrap()), None);
        for strange in ["abc", "3-abc", "x-abc", "-abc", ""] {
            assert_eq!(ticket_partition(strange, third), None, "{strange}");
        }
        assert_eq!(mark_ticket("abc", Partition::WHOLE), "abc");
        assert_eq!(secret_of("abc", Partition::WHOLE), Some("abc"));
    }

    #[test]
    fn what_belongs_to_a_connection_stays_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-mine"),
            ("x-mine", "1"),
            ("transfer-encoding", "chunked"),
            ("authorization", "Bearer t"),
            ("last-event-id", "4-0"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let kept = of_message(&headers);
        let names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        assert_eq!(kept.len(), 2, "{names:?}");
        assert!(kept.contains_key("authorization") && kept.contains_key("last-event-id"));
    }
}
