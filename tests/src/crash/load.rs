use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Options;
use super::wire::Connection;

/// How long a visitor waits for an answer. Longer than most freezes, so that they are answered
/// late; shorter than some, so that they are cut off.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a visitor waits for a connection.
const CONNECT: Duration = Duration::from_secs(1);

/// After how many requests a client goes back to the redirector that it started with.
const HOME: u64 = 64;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The whole redirect is here.
    Answered,
    /// It was sent, at least in part, and no whole answer came.
    CutOff,
    /// There was nobody to send it to.
    NotSent,
    /// Something else was answered.
    Refused(u16),
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// By which its referrer is known.
    pub number: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// In which period, which is when which fault happened, this was known.
    pub period: usize,
}

/// The clients, at work.
pub struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<Vec<Request>>,
}

struct Shared {
    redirectors: Vec<SocketAddr>,
    links: u64,
    next: AtomicU64,
    period: AtomicUsize,
    started: Instant,
    stop: CancellationToken,
}

/// The code of the link that a request follows.
pub fn code(link: u64) -> String {
    format!("crash{link}")
}

/// The host that a request says it comes from.
pub fn referrer(number: u64) -> String {
    format!("r{number}.crash.test")
}

/// The number of the request with this referrer.
pub fn number(referrer: &str) -> Option<u64> {
    referrer
        .strip_prefix('r')?
        .strip_suffix(".crash.test")?
        .parse()
        .ok()
}

impl Load {
    /// Starts the clients. The first period is 0.
    pub fn start(options: &Options, redirectors: Vec<SocketAddr>) -> Self {
        let shared = Arc::new(Shared {
            redirectors,
            links: options.links.into(),
            next: AtomicU64::new(0),
            period: AtomicUsize::new(0),
            started: Instant::now(),
            stop: CancellationToken::new(),
        });
        let pause = Duration::from_secs(1) * options.clients / options.rate;
        let mut clients = JoinSet::new();
        for client in 0..options.clients as usize {
            clients.spawn(visit(Arc::clone(&shared), client, pause));
        }
        Self { shared, clients }
    }

    /// From now on requests belong to this period.
    pub fn enter(&self, period: usize) {
        self.shared.period.store(period, Ordering::SeqCst);
    }

    /// How long it lasts so far.
    pub fn elapsed(&self) -> Duration {
        self.shared.started.elapsed()
    }

    /// Ends it in order; every request, by number.
    pub async fn stop(mut self) -> anyhow::Result<Vec<Request>> {
        self.shared.stop.cancel();
        let mut requests = Vec::new();
        while let Some(client) = self.clients.join_next().await {
            requests.extend(client?);
        }
        requests.sort_unstable_by_key(|request| request.number);
        Ok(requests)
    }
}

/// One client: a request at a time, `pause` from one to the next.
async fn visit(shared: Arc<Shared>, client: usize, pause: Duration) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut connection = None;
    let mut redirector = client;
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shared.stop.is_cancelled() {
        ticks.tick().await;
        let number = shared.next.fetch_add(1, Ordering::SeqCst);
        if requests.len() as u64 % HOME == HOME - 1 && redirector != client {
            (redirector, connection) = (client, None);
        }
        let address = shared.redirectors[redirector % shared.redirectors.len()];
        let outcome = ask(&mut connection, address, number, shared.links).await;
        if outcome == Outcome::NotSent {
            // As a load balancer does: somebody else may be there.
            redirector += 1;
        }
        requests.push(Request {
            number,
            outcome,
            period: shared.period.load(Ordering::SeqCst),
        });
    }
    requests
}

async fn ask(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    number: u64,
    links: u64,
) -> Outcome {
    // Put back only if it is still good.
    let mut open = match connection.take() {
        Some(open) => open,
        None => match timeout(CONNECT, Connection::open(address)).await {
            Ok(Ok(open)) => open,
            _ => return Outcome::NotSent,
        },
    };
    let answer = timeout(
        PATIENCE,
        open.follow(&code(number % links), &referrer(number)),
    )
    .await;
    let Ok(Ok(status)) = answer else {
        return Outcome::CutOff;
    };
    *connection = Some(open);
    match status {
        302 => Outcome::Answered,
        other => Outcome::Refused(other),
    }
}
