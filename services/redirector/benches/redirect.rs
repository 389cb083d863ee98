//! The redirect path without a network, from the bytes of a request to those of its answer: the shortcut
//! in front of the router answers as many requests as the argument says, and records each click in a
//! spool in a temporary folder.
//! `.ci/instructions` runs it under callgrind, which counts what happens inside [`answer_all`].

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use chassis::bus::{Bus, BusConfig};
use chassis::client_address::TrustedProxies;
use chassis::clock::Clock;
use chassis::env::Env;
use chassis::http::{Head, Received, Shortcut, ShortcutSlot, Shortened};
use chassis::ready::Readiness;
use chassis::service::{Context, Service as _};
use chassis::shutdown::Shutdown;
use events::{LinkRecord, LinkState};
use jiff::Timestamp;
use redirector::App;
use redirector::parts::Table;
use tempfile::TempDir;
use uuid::Uuid;

const LINKS: u32 = 10_000;

fn main() -> anyhow::Result<()> {
    // cargo bench passes an option of its own.
    let count = std::env::args().find_map(|argument| argument.parse().ok());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let folder = tempfile::tempdir()?;
    save_links(&folder)?;
    let shortcut = runtime.block_on(open(&folder))?;
    let requests = requests(count.unwrap_or(1_000));
    // Nothing of the runtime runs from here on: what would wait for anything, fails.
    let _entered = runtime.enter();
    let failed = answer_all(&*shortcut, &requests);
    anyhow::ensure!(failed == 0, "{failed} requests were not redirected at once");
    Ok(())
}

/// A redirector without a bus, with the links of the snapshot.
async fn open(folder: &TempDir) -> anyhow::Result<Arc<dyn Shortcut>> {
    // Handles that are made before the recorder is there stay silent for ever.
    chassis::telemetry::render_metrics();
    let shutdown = Shutdown::new();
    let bus = BusConfig {
        url: "nats://127.0.0.1:1".to_owned(),
        credentials: None,
        replicas: 1,
    };
    let context = Context {
        bus: Bus::connect(&bus, App::NAME, &shutdown).await?,
        shutdown,
        ready: Readiness::default(),
        clock: Clock::manual("2026-11-24T12:00:00Z".parse::<Timestamp>()?),
        public_url: "http://bench.test".parse()?,
        trusted_proxies: TrustedProxies::default(),
        shortcut: ShortcutSlot::default(),
    };
    let pairs = [
        ("KURZ_SPOOL", folder.path().display().to_string()),
        ("KURZ_VISITOR_SALT", "a salt for the benchmark".to_owned()),
    ];
    let mut env = Env::from_pairs(
        App::NAME,
        pairs.map(|(name, value)| (name.to_owned(), value)),
    );
    let config = App::config(&mut env);
    let config = env.finish(config)?;
    let slot = context.shortcut.clone();
    App::open(config, context).await?;
    slot.get().context("the redirector has a shortcut")
}

fn save_links(folder: &TempDir) -> anyhow::Result<()> {
    let table = Table::default();
    for number in 0..LINKS {
        let record = LinkRecord {
            link_id: Uuid::from_u128(number.into()),
            owner_id: Uuid::from_u128(1),
            code: format!("c{number:05}"),
            url: format!("https://example.org/a/path/of/some/length/to/page/{number:010}"),
            version: 1,
            state: LinkState::Active,
            valid_from_ms: None,
            valid_until_ms: None,
            max_clicks: None,
            fallback_url: None,
            redirect_status: 302,
        };
        table.put(&record);
    }
    Ok(table.save(folder.path())?)
}

fn requests(count: u32) -> Vec<(String, SocketAddr)> {
    (0..count)
        .map(|number| {
            let peer = SocketAddr::from(([192, 0, 2, (number % 200) as u8], 40_000));
            let request = format!(
                "GET /c{:05} HTTP/1.1\r\n\
                 Host: kurz.example\r\n\
                 Accept: text/html,application/xhtml+xml\r\n\
                 Accept-Language: de-AT,de;q=0.9,en;q=0.8\r\n\
                 Referer: https://news.example.org/item?id=7\r\n\
                 User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 \
                 Firefox/140.0\r\n\r\n",
                number * 7919 % LINKS,
            );
            (request, peer)
        })
        .collect()
}

/// How many were not redirected at once.
#[inline(never)]
fn answer_all(shortcut: &dyn Shortcut, requests: &[(String, SocketAddr)]) -> usize {
    let mut answer = Vec::new();
    let mut failed = 0;
    for (request, peer) in requests {
        answer.clear();
        let received = Head::receive(request.as_bytes(), |head| {
            shortcut.answer(&head, *peer, &mut answer)
        });
        let is_answered = matches!(received, Received::Whole(Shortened::Now, _));
        if !is_answered || !answer.starts_with(b"HTTP/1.1 302 Found\r\n") {
            failed += 1;
        }
    }
    failed
}
