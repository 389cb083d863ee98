//! A subscriber reads the feed of its owner.

mod refused;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{self, AckKind};
use async_nats::{Client, ConnectOptions};
use chassis::bus::Bus;
use chassis::testing::{Folder, NatsServer, eventually};
use events::{Partition, streams, subjects};
use futures_util::StreamExt as _;
use rustix::process::Signal;
use uuid::Uuid;

use crate::bus::{connect, make_secrets, open, publish, server};
use crate::process::{Kurz, command, log_in, run, signal};

/// How long messages may take to come.
const LIMIT: Duration = Duration::from_secs(10);

const ADA: Uuid = Uuid::from_u128(0xada);
const BOB: Uuid = Uuid::from_u128(0xb0b);

/// `kurz subscriber <folder> …`: whether it was done, and the complaint.
fn subscriber(folder: &Path, nats_url: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = command(folder);
    command.arg("subscriber").arg(folder).args(arguments);
    let (status, text) = run(command.env("KURZ_NATS_URL", nats_url));
    (status.success(), text)
}

fn seed(folder: &Path, owner: Uuid, name: &str) -> PathBuf {
    let owner = owner.to_string();
    folder
        .join("subscribers")
        .join(owner)
        .join(name)
        .join("nats.nk")
}

async fn connect_as(url: &str, folder: &Path, owner: Uuid, name: &str) -> Client {
    connect(url, &seed(folder, owner, name), "_INBOX").await.0
}

/// A server with the feed, on which `ada` has the subscribers `feed` and `shop`, and `bob` has
/// `feed`; and the bus as analytics and as the operator have it.
struct Fixture {
    folder: Folder,
    server: NatsServer,
    analytics: Bus,
    operator: Bus,
}

impl Fixture {
    async fn new() -> Self {
        let folder = Folder::new();
        make_secrets(folder.path());
        let server = server(folder.path()).await;
        let analytics = open(&server, folder.path(), "analytics").await;
        let operator = open(&server, folder.path(), "operator").await;
        analytics.declare(&streams::FEED).await.unwrap();
        operator.declare(&streams::ACCOUNTS).await.unwrap();
        let fixture = Self {
            folder,
            server,
            analytics,
            operator,
        };
        for (owner, name) in [(ADA, "feed"), (ADA, "shop"), (BOB, "feed")] {
            fixture.add(owner, name);
        }
        fixture.reload_for(BOB, "feed").await;
        fixture
    }

    fn add(&self, owner: Uuid, name: &str) {
        let owner = owner.to_string();
        let (done, text) = subscriber(self.folder.path(), &self.server.url(), &[&owner, name]);
        assert!(done, "{text}");
    }

    /// Has the server read its configuration, in which this subscriber is new: twice, since it
    /// lets a new account use what it imports only then.
    async fn reload_for(&self, owner: Uuid, name: &str) {
        let seed = std::fs::read_to_string(seed(self.folder.path(), owner, name)).unwrap();
        let pid = self.server.pid().unwrap();
        signal(pid, Signal::HUP);
        let client = eventually(|| async {
            let connecting = ConnectOptions::with_nkey(seed.clone()).connect(self.server.url());
            connecting.await.ok()
        })
        .await;
        signal(pid, Signal::HUP);
        let id = format!("{name}-{owner}");
        eventually(|| async { try_consumer(&client, &id).await }).await;
    }

    async fn client(&self, owner: Uuid, name: &str) -> Client {
        connect_as(&self.server.url(), self.folder.path(), owner, name).await
    }

    async fn publish(&self, owner: Uuid, code: &str, payload: &'static str) {
        publish(&self.analytics, format!("feed.v1.{owner}.{code}"), payload).await;
    }
}

async fn consumer(client: &Client, id: &str) -> PullConsumer {
    try_consumer(client, id).await.unwrap()
}

/// The consumer, as a program gets it that may not look at the stream.
async fn try_consumer(client: &Client, id: &str) -> Option<PullConsumer> {
    let jetstream = jetstream::with_prefix(client.clone(), "KURZ.API");
    let stream = jetstream.get_stream_no_info("FEED").await.ok()?;
    stream.get_consumer(id).await.ok()
}

/// The next messages; each is acknowledged, and known by the server to be so, if asked for.
async fn read(consumer: &PullConsumer, count: usize, acknowledge: bool) -> Vec<String> {
    // Waits: a message that was stored just now may not have reached the consumer yet.
    let batch = consumer.batch().max_messages(count).expires(LIMIT);
    let mut batch = batch.messages().await.unwrap();
    let mut payloads = Vec::new();
    while let Some(message) = batch.next().await {
        let message = message.unwrap();
        payloads.push(String::from_utf8(message.payload.to_vec()).unwrap());
        if acknowledge {
            message.double_ack().await.unwrap();
        } else {
            message.ack_with(AckKind::Nak(None)).await.unwrap();
        }
    }
    payloads
}

#[tokio::test]
async fn a_subscriber_reads_its_owners_feed_and_goes_on_where_it_stopped() {
    let fixture = Fixture::new().await;
    for (owner, code, payload) in [
        (BOB, "x", "bob 1"),
        (ADA, "x", "ada 1"),
        (ADA, "y", "ada 2"),
        (BOB, "y", "bob 2"),
        (ADA, "x", "ada 3"),
    ] {
        fixture.publish(owner, code, payload).await;
    }
    let id = format!("feed-{ADA}");
    let client = fixture.client(ADA, "feed").await;
    let first = consumer(&client, &id).await;
    assert_eq!(read(&first, 1, true).await, ["ada 1"]);
    assert_eq!(read(&first, 1, false).await, ["ada 2"]);
    drop(client);

    // What was not acknowledged comes again.
    let again = consumer(&fixture.client(ADA, "feed").await, &id).await;
    let mut rest = read(&again, 2, true).await;
    rest.sort();
    assert_eq!(rest, ["ada 2", "ada 3"]);

    // Another subscriber of the same owner has a place of its own.
    let shop = consumer(&fixture.client(ADA, "shop").await, &format!("shop-{ADA}")).await;
    assert_eq!(read(&shop, 3, true).await, ["ada 1", "ada 2", "ada 3"]);
    let bob = consumer(&fixture.client(BOB, "feed").await, &format!("feed-{BOB}")).await;
    assert_eq!(read(&bob, 2, true).await, ["bob 1", "bob 2"]);
}

#[tokio::test]
async fn a_subscriber_hears_its_owners_clicks_as_they_come_and_nobody_elses() {
    let fixture = Fixture::new().await;
    let ada = fixture.client(ADA, "feed").await;
    let mut clicks = ada.subscribe(format!("feed.v1.{ADA}.>")).await.unwrap();
    // An answer says that the subscription before it is known to the server.
    consumer(&ada, &format!("feed-{ADA}")).await;
    fixture.publish(BOB, "x", "bob").await;
    fixture.publish(ADA, "x", "ada").await;
    assert_eq!(&clicks.next().await.unwrap().payload[..], b"ada");
}

#[tokio::test]
async fn a_reload_lets_new_subscribers_in_and_removed_ones_out() {
    let fixture = Fixture::new().await;
    let folder = fixture.folder.path();
    let conf = folder.join("nats/authorization.conf");
    let before = std::fs::read(&conf).unwrap();
    // Safe to repeat, and `kurz secrets` keeps them.
    fixture.add(ADA, "feed");
    make_secrets(folder);
    assert_eq!(std::fs::read(&conf).unwrap(), before);

    let client = fixture.client(ADA, "feed").await;
    let consumer = consumer(&client, &format!("feed-{ADA}")).await;
    let connects = |bus: &Bus| {
        let statistics = bus.client().statistics();
        statistics
            .connects
            .load(std::sync::atomic::Ordering::Relaxed)
    };
    let connected = connects(&fixture.analytics);
    let ada = ADA.to_string();
    let url = fixture.server.url();
    let stolen = std::fs::read_to_string(seed(folder, ADA, "shop")).unwrap();
    let (removed, text) = subscriber(folder, &url, &[&ada, "shop", "--remove"]);
    assert!(removed, "{text}");
    let (again, text) = subscriber(folder, &url, &[&ada, "shop", "--remove"]);
    assert!(!again && text.contains("no subscriber"), "{text}");
    assert!(!seed(folder, ADA, "shop").exists());
    fixture.add(BOB, "second");
    fixture.reload_for(BOB, "second").await;
    let connecting = ConnectOptions::with_nkey(stolen).connect(url);
    assert!(connecting.await.is_err());
    // Everybody else goes on undisturbed.
    fixture.publish(ADA, "x", "after the reload").await;
    assert_eq!(connects(&fixture.analytics), connected);
    assert_eq!(read(&consumer, 1, true).await, ["after the reload"]);
}

#[tokio::test]
async fn with_partitions_a_subscriber_reads_the_stream_that_has_its_owner() {
    let folder = Folder::new();
    let path = folder.path();
    let mut secrets = command(path);
    let (status, text) = run(secrets.arg("secrets").arg(path).args(["--partitions", "3"]));
    assert!(status.success(), "{text}");
    let owner = ADA.to_string();
    let (done, text) = subscriber(path, "", &[&owner]);
    let home = Partition::of_account(ADA, 3);
    let stream = streams::FEED.name_in(home);
    assert!(done, "{text}");
    // The server begins with the account.
    let server = server(path).await;
    let analytics = open(&server, path, "analytics").await;
    for partition in Partition::all(3) {
        let declared = analytics.declare_in(&streams::FEED, partition).await;
        declared.unwrap();
    }
    let (done, text) = subscriber(path, &server.url(), &[&owner]);
    assert!(done, "{text}");
    publish(&analytics, subjects::feed(home, BOB, "x"), "bob").await;
    publish(&analytics, subjects::feed(home, ADA, "x"), "ada").await;
    let client = connect_as(&server.url(), path, ADA, "feed").await;
    let feed = jetstream::with_prefix(client, "KURZ.API");
    let feed = feed.get_stream_no_info(&*stream).await.unwrap();
    let consumer = feed.get_consumer(&format!("feed-{ADA}")).await.unwrap();
    assert_eq!(read(&consumer, 1, true).await, ["ada"]);
}

#[tokio::test]
async fn a_subscriber_is_refused_for_a_wrong_name_owner_or_folder() {
    let folder = Folder::new();
    let ada = ADA.to_string();
    let (done, text) = subscriber(folder.path(), "", &[&ada]);
    assert!(!done && text.contains("neither"), "{text}");
    make_secrets(folder.path());
    for (arguments, complaint) in [
        (vec!["ada"], "id of an account"),
        (vec!["*"], "id of an account"),
        (vec![&ada, "a.b"], "not a name"),
        (vec![&ada, ">"], "not a name"),
        (vec![&ada, "../x"], "not a name"),
        (vec![&ada, "--delete"], "not a name"),
        (vec![&ada, "a", "b"], "subscriber <folder>"),
    ] {
        let (done, text) = subscriber(folder.path(), "", &arguments);
        assert!(!done && text.contains(complaint), "{arguments:?}: {text}");
    }
    assert!(!folder.path().join("subscribers").exists());
}

#[tokio::test]
async fn on_one_machine_a_restart_lets_a_subscriber_in() {
    let folder = Folder::new();
    let kurz = Kurz::start(folder.path()).await;
    let token = log_in(&kurz).await;
    let me = crate::process::client()
        .get(format!("{}/auth/users/me", kurz.url))
        .bearer_auth(token);
    let me: serde_json::Value = me.send().await.unwrap().json().await.unwrap();
    let owner: Uuid = me["id"].as_str().unwrap().parse().unwrap();
    let (done, text) = subscriber(folder.path(), "", &[&owner.to_string()]);
    assert!(done, "{text}");
    assert!(kurz.terminate().success());

    let kurz = Kurz::start(folder.path()).await;
    let conf = std::fs::read_to_string(folder.path().join("nats.conf")).unwrap();
    let listen = conf
        .lines()
        .find(|line| line.starts_with("listen"))
        .unwrap();
    let url = format!("nats://{}", listen.split('"').nth(1).unwrap());
    let client = connect_as(&url, folder.path(), owner, "feed").await;
    let id = format!("feed-{owner}");
    let consumer = eventually(|| async { try_consumer(&client, &id).await }).await;
    let (all, _refusals) = connect(&url, &folder.path().join("nats.nk"), "_INBOX").await;
    let all = jetstream::new(all);
    let sent = all.publish(format!("feed.v1.{owner}.x"), "click".into());
    sent.await.unwrap().await.unwrap();
    assert_eq!(read(&consumer, 1, true).await, ["click"]);
    assert!(kurz.terminate().success());
}
