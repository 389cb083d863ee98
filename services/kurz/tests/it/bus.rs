//! A nats-server that lets in who has a key of `kurz secrets` or `kurz subscriber`.

use std::path::Path;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use chassis::bus::{Bus, BusConfig};
use chassis::shutdown::Shutdown;
use chassis::testing::NatsServer;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;

use crate::process::{command, run};

/// How long the server may take to refuse something.
const LIMIT: Duration = Duration::from_secs(10);

/// Refused to everybody, so that its refusal says that everything before it was judged.
const FORBIDDEN: &str = "nobody.may";

/// How many refusals may wait to be looked at: more than a test provokes.
const REFUSALS: usize = 1_000;

pub const SERVICES: [&str; 4] = ["auth", "shortener", "redirector", "analytics"];

pub fn make_secrets(folder: &Path) {
    let (status, text) = run(command(folder).arg("secrets").arg(folder));
    assert!(status.success(), "{text}");
}

/// A server whose configuration includes the file in this folder, as the documentation says.
pub async fn server(folder: &Path) -> NatsServer {
    // Both folders lie side by side; nats-server takes only relative paths.
    let name = folder.file_name().unwrap().to_str().unwrap();
    NatsServer::start_with(&format!("include \"../{name}/nats/authorization.conf\"")).await
}

/// Where and as whom a service opens the bus.
pub fn config(server: &NatsServer, folder: &Path, service: &str) -> BusConfig {
    BusConfig {
        url: server.url(),
        credentials: Some(folder.join(service).join("nats.nk")),
        replicas: 1,
    }
}

/// The bus as a service opens it.
pub async fn open(server: &NatsServer, folder: &Path, service: &str) -> Bus {
    let config = config(server, folder, service);
    Bus::connect(&config, service, &Shutdown::new())
        .await
        .unwrap()
}

/// A connection with the seed in this file, and the subjects that the server refused to it.
pub async fn connect(url: &str, seed: &Path, inbox: &str) -> (Client, Receiver<String>) {
    let seed = std::fs::read_to_string(seed).unwrap();
    let (refused, refusals) = channel(REFUSALS);
    let client = ConnectOptions::with_nkey(seed)
        .custom_inbox_prefix(inbox)
        .event_callback(move |event| {
            let refused = refused.clone();
            async move {
                // Permissions Violation for Publish to "subject"
                if let Event::ServerError(error) = event
                    && let Some(subject) = error.to_string().split('"').nth(1)
                {
                    let _ = refused.send(subject.to_owned()).await;
                }
            }
        })
        .connect(url)
        .await
        .unwrap();
    (client, refusals)
}

/// Everything refused so far.
pub async fn refused(client: &Client, refusals: &mut Receiver<String>) -> Vec<String> {
    client.publish(FORBIDDEN, "".into()).await.unwrap();
    let mut subjects = Vec::new();
    loop {
        let subject = timeout(LIMIT, refusals.recv()).await.unwrap().unwrap();
        if subject == FORBIDDEN {
            return subjects;
        }
        subjects.push(subject);
    }
}

pub async fn publish(bus: &Bus, subject: String, payload: &'static str) {
    let sent = bus.jetstream().publish(subject, payload.into()).await;
    sent.unwrap().await.unwrap();
}
