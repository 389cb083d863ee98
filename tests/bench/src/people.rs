//! People who log in, again and again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::connection::Connection;

/// Who logs in where, and for how long.
pub struct Crowd {
    pub address: SocketAddr,
    pub people: u32,
    pub seconds: u64,
    /// The users `bench-0`, `bench-1`, ..., whom they are in turn.
    pub users: u32,
    /// The password of all users.
    pub password: String,
}

/// Has all of them log in until the time is up; how often each status was answered.
pub async fn log_in(crowd: Crowd) -> anyhow::Result<Value> {
    let end = Instant::now() + Duration::from_secs(crowd.seconds);
    let crowd = Arc::new(crowd);
    let mut people: JoinSet<_> = (0..crowd.people)
        .map(|number| keep_logging_in(Arc::clone(&crowd), number, end))
        .collect();
    let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
    while let Some(person) = people.join_next().await {
        for (status, times) in person?? {
            *statuses.entry(status).or_default() += times;
        }
    }
    Ok(json!({ "statuses": statuses }))
}

async fn keep_logging_in(
    crowd: Arc<Crowd>,
    number: u32,
    end: Instant,
) -> anyhow::Result<BTreeMap<u16, u64>> {
    let connecting = Connection::open(crowd.address).await;
    let mut connection = connecting.context("can't connect")?;
    let user = number % crowd.users;
    let body = format!(
        r#"{{"username":"bench-{user}","password":"{}"}}"#,
        crowd.password
    );
    let mut statuses = BTreeMap::new();
    for client in 0_u32.. {
        if Instant::now() >= end {
            break;
        }
        // Each time from somewhere else, since an address may not log in that often.
        let request = format!(
            "POST /auth/tokens HTTP/1.1\r\nhost: bench.test\r\ncontent-type: application/json\r\n\
             x-forwarded-for: 10.{number}.{}.{}\r\ncontent-length: {}\r\n\r\n{body}",
            client / 250 % 250,
            client % 250,
            body.len(),
        );
        let answer = connection.ask(request.as_bytes()).await?;
        *statuses.entry(answer.status).or_default() += 1;
        if let Some(seconds) = answer.retry_after {
            // As people and programs do; without that this would be a test of refusals.
            let again = Instant::now() + Duration::from_secs(seconds as u64);
            sleep_until(again.min(end)).await;
        }
    }
    Ok(statuses)
}
