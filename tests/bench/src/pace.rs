//! Requests at a fixed rate, whether or not the answers keep up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rand::Rng as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::connection::Connection;

/// What is to be sent where, how often and for how long.
pub struct Plan {
    pub address: SocketAddr,
    /// Requests a second, of all connections together.
    pub rate: f64,
    pub connections: u32,
    pub seconds: u32,
    pub request: Request,
}

/// One request of the plan.
pub enum Request {
    Follow { links: u32 },
    Get { path: String, token: String },
    Change { links: u32, token: String },
    Idle,
    Slow,
}

/// What became of the requests of one connection, or of all.
#[derive(Default)]
struct Outcome {
    /// How long each answer took, in microseconds.
    times: Vec<u32>,
    statuses: BTreeMap<u16, u64>,
    errors: u64,
    /// Of requests whose predecessor was answered after their own time had come.
    late: u64,
}

impl Request {
    /// From the command line.
    pub fn parse(words: &[&str]) -> Option<Self> {
        Some(match words {
            ["follow", links] => Self::Follow {
                links: links.parse().ok()?,
            },
            ["get", path, token] => Self::Get {
                path: (*path).to_owned(),
                token: (*token).to_owned(),
            },
            ["change", links, token] => Self::Change {
                links: links.parse().ok()?,
                token: (*token).to_owned(),
            },
            ["idle"] => Self::Idle,
            ["slow"] => Self::Slow,
            _ => return None,
        })
    }

    /// The bytes of one, chosen at random.
    fn draw(&self) -> String {
        const AGENTS: [&str; 3] = [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/141.0.0.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, \
             like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ];
        let mut random = rand::rng();
        match self {
            Self::Follow { links } => format!(
                "GET /c{} HTTP/1.1\r\nhost: bench.test\r\nuser-agent: {}\r\naccept-language: \
                 de-AT,de;q=0.9,en;q=0.8\r\nreferer: https://news.example.org/item?id={}\r\n\r\n",
                random.random_range(0..*links),
                AGENTS[random.random_range(0..AGENTS.len())],
                random.random_range(0..4096),
            ),
            Self::Get { path, token } => format!(
                "GET {path} HTTP/1.1\r\nhost: bench.test\r\nauthorization: Bearer {token}\r\n\r\n"
            ),
            Self::Change { links, token } => {
                let body = format!(
                    r#"{{"url":"https://example.org/a/changed/page/{:020}"}}"#,
                    random.random::<u64>()
                );
                format!(
                    "PATCH /shortener/links/c{} HTTP/1.1\r\nhost: bench.test\r\nauthorization: \
                     Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n\
                     {body}",
                    random.random_range(0..*links),
                    body.len(),
                )
            }
            Self::Idle => String::new(),
            // Never whole: nobody gets that far.
            Self::Slow => format!("GET /c1 HTTP/1.1\r\nx-slow: {}", "x".repeat(1000)),
        }
    }
}

/// Carries the plan out; what came of it.
pub async fn run(plan: Plan) -> anyhow::Result<Value> {
    let plan = Arc::new(plan);
    let mut open = Vec::new();
    for _ in 0..plan.connections {
        open.push(
            Connection::open(plan.address)
                .await
                .context("can't connect")?,
        );
    }
    let started = Instant::now();
    let end = started + Duration::from_secs(plan.seconds.into());
    if matches!(plan.request, Request::Idle) {
        sleep_until(end).await;
        return Ok(json!({ "connections": open.len() }));
    }
    if matches!(plan.request, Request::Slow) {
        let mut slow: JoinSet<()> = open
            .into_iter()
            .map(|connection| trickle(Arc::clone(&plan), connection, end))
            .collect();
        while slow.join_next().await.is_some() {}
        return Ok(json!({ "connections": plan.connections }));
    }
    let step = Duration::from_secs_f64(f64::from(plan.connections) / plan.rate);
    let mut clients = JoinSet::new();
    for (number, connection) in (0..).zip(open) {
        let first = started + step * number / plan.connections;
        clients.spawn(keep_asking(Arc::clone(&plan), connection, first, step, end));
    }
    let mut all = Outcome::default();
    while let Some(client) = clients.join_next().await {
        all.add(client?);
    }
    Ok(all.report(started.elapsed()))
}

/// Sends a byte of a request each second, and connects again when the server has had enough of it.
async fn trickle(plan: Arc<Plan>, mut connection: Connection, end: Instant) {
    let request = plan.request.draw();
    let mut bytes = request.as_bytes().iter().cycle();
    let mut due = Instant::now();
    while due < end
        && let Some(byte) = bytes.next()
    {
        if connection.send(&[*byte]).await.is_err() {
            bytes = request.as_bytes().iter().cycle();
            match Connection::open(plan.address).await {
                Ok(new) => connection = new,
                Err(_) => return,
            }
        }
        due += Duration::from_secs(1);
        sleep_until(due.min(end)).await;
    }
}

async fn keep_asking(
    plan: Arc<Plan>,
    mut connection: Connection,
    first: Instant,
    step: Duration,
    end: Instant,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut due = first;
    while due < end {
        // How exactly a timer wakes us is no affair of the server's. That its last answer came so
        // late that this request could not go out in time is.
        let mut from = due;
        if Instant::now() < due {
            sleep_until(due).await;
            from = Instant::now();
        } else {
            outcome.late += 1;
        }
        if let Ok(answer) = connection.ask(plan.request.draw().as_bytes()).await {
            let micros = u32::try_from(from.elapsed().as_micros()).unwrap_or(u32::MAX);
            outcome.times.push(micros);
            *outcome.statuses.entry(answer.status).or_default() += 1;
        } else {
            outcome.errors += 1;
            match Connection::open(plan.address).await {
                Ok(new) => connection = new,
                Err(_) => break,
            }
        }
        due += step;
    }
    outcome
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        for (status, times) in other.statuses {
            *self.statuses.entry(status).or_default() += times;
        }
        self.errors += other.errors;
        self.late += other.late;
    }

    fn report(mut self, elapsed: Duration) -> Value {
        self.times.sort_unstable();
        // In milliseconds, of so many in a thousand.
        let quantile = |per_mille: usize| {
            let last = self.times.len().checked_sub(1)?;
            let at = (self.times.len() * per_mille / 1000).min(last);
            Some(f64::from(self.times[at]) / 1000.0)
        };
        json!({
            "answered": self.times.len(),
            "seconds": elapsed.as_secs_f64(),
            "statuses": self.statuses,
            "errors": self.errors,
            "late": self.late,
            "p50": quantile(500),
            "p99": quantile(990),
            "p999": quantile(999),
            "max": quantile(1000),
        })
    }
}
