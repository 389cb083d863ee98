//! Each service opens the bus with its own key, and is refused what it does not need.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use async_nats::Client;
use chassis::bus::Start;
use chassis::testing::{Folder, NatsServer};
use events::{Partition, streams, subjects};
use futures_util::StreamExt as _;
use tokio::sync::mpsc::Receiver;

use crate::bus::{self, SERVICES, make_secrets, open, publish, refused, server};
use crate::process::{command, run};

/// A connection as this service, and the subjects that the server refused to it.
async fn connect(server: &NatsServer, folder: &Path, service: &str) -> (Client, Receiver<String>) {
    let seed = folder.join(service).join("nats.nk");
    bus::connect(&server.url(), &seed, &format!("_INBOX_{service}")).await
}

/// What each may ask of which stream, apart from data: the first letters stand for create and
/// update, follow, get, purge, delete a message.
fn allowed() -> BTreeMap<&'static str, BTreeMap<&'static str, &'static str>> {
    BTreeMap::from([
        ("auth", BTreeMap::from([("ACCOUNTS", "cf")])),
        (
            "shortener",
            BTreeMap::from([("KV_links", "cf"), ("ACCOUNTS", "f")]),
        ),
        (
            "redirector",
            BTreeMap::from([("KV_links", "f"), ("CLICKS", "g"), ("SPOOLS", "g")]),
        ),
        (
            "analytics",
            BTreeMap::from([
                ("CLICKS", "cfgp"),
                ("FEED", "cfgp"),
                ("DEAD", "cfgd"),
                ("SPOOLS", "cf"),
                ("ACCOUNTS", "f"),
                ("KV_links", "f"),
            ]),
        ),
    ])
}

#[tokio::test]
async fn each_service_may_ask_of_the_streams_what_it_needs_and_nothing_else() {
    const REQUESTS: [(&str, char); 18] = [
        ("STREAM.CREATE.{}", 'c'),
        ("STREAM.UPDATE.{}", 'c'),
        ("STREAM.INFO.{}", 'f'),
        ("CONSUMER.CREATE.{}", 'f'),
        ("CONSUMER.CREATE.{}.x", '-'),
        ("CONSUMER.CREATE.{}.x.some.filter", '-'),
        ("CONSUMER.MSG.NEXT.{}.x", 'f'),
        ("CONSUMER.INFO.{}.x", 'f'),
        ("CONSUMER.DELETE.{}.x", '-'),
        ("STREAM.MSG.GET.{}", 'g'),
        ("STREAM.PURGE.{}", 'p'),
        ("STREAM.MSG.DELETE.{}", 'd'),
        // Nobody's business.
        ("STREAM.DELETE.{}", '-'),
        ("STREAM.SNAPSHOT.{}", '-'),
        ("CONSUMER.LIST.{}", '-'),
        ("DIRECT.GET.{}", '-'),
        ("CONSUMER.DURABLE.CREATE.{}.x", '-'),
        ("STREAM.RESTORE.{}", '-'),
    ];
    let folder = Folder::new();
    make_secrets(folder.path());
    let server = server(folder.path()).await;
    for (service, rights) in allowed() {
        let (client, mut refusals) = connect(&server, folder.path(), service).await;
        let mut expected = Vec::new();
        for stream in streams::ALL {
            let rights = rights.get(stream.name).copied().unwrap_or_default();
            for (request, right) in REQUESTS {
                let subject = format!("$JS.API.{}", request.replace("{}", stream.name));
                if !rights.contains(right) {
                    expected.push(subject.clone());
                }
                client.publish(subject, "".into()).await.unwrap();
            }
        }
        assert_eq!(refused(&client, &mut refusals).await, expected, "{service}");
    }
}

#[tokio::test]
async fn each_service_publishes_only_its_own_events_and_hears_only_its_own_answers() {
    let folder = Folder::new();
    make_secrets(folder.path());
    let server = server(folder.path()).await;
    let events = [
        ("accounts.v1.closed.x", "auth"),
        ("$KV.links.x", "shortener"),
        ("clicks.v1.0.x", "redirector"),
        ("spools.v1.x", "redirector"),
        ("feed.v1.x.y", "analytics"),
        ("dead.v1.CLICKS", "analytics"),
        ("$JS.API.INFO", "nobody"),
        ("$SYS.REQ.SERVER.PING", "nobody"),
        ("_INBOX_auth.x", "nobody"),
    ];
    for service in SERVICES {
        let (client, mut refusals) = connect(&server, folder.path(), service).await;
        for (subject, _) in events {
            client.publish(subject, "".into()).await.unwrap();
        }
        let others = events.iter().filter(|(_, owner)| *owner != service);
        let expected: Vec<&str> = others.map(|(subject, _)| *subject).collect();
        assert_eq!(refused(&client, &mut refusals).await, expected, "{service}");

        let mut expected = vec![">", "clicks.v1.>", "feed.v1.>", "$KV.links.>"];
        let inboxes = SERVICES.map(|other| format!("_INBOX_{other}.>"));
        for inbox in &inboxes {
            if !inbox.contains(service) {
                expected.push(inbox);
            }
        }
        let mut open = Vec::new();
        for subject in &expected {
            open.push(client.subscribe((*subject).to_owned()).await.unwrap());
        }
        let own = client.subscribe(format!("_INBOX_{service}.>")).await;
        open.push(own.unwrap());
        assert_eq!(refused(&client, &mut refusals).await, expected, "{service}");
    }
}

#[tokio::test]
async fn the_owners_of_streams_declare_them_and_others_follow() {
    let folder = Folder::new();
    make_secrets(folder.path());
    let server = server(folder.path()).await;
    let open = async |service: &str| open(&server, folder.path(), service).await;
    let [auth, shortener, redirector, analytics] = [
        open("auth").await,
        open("shortener").await,
        open("redirector").await,
        open("analytics").await,
    ];
    auth.declare(&streams::ACCOUNTS).await.unwrap();
    shortener.declare(&streams::LINKS).await.unwrap();
    for stream in [
        &streams::CLICKS,
        &streams::FEED,
        &streams::DEAD,
        &streams::SPOOLS,
    ] {
        analytics.declare(stream).await.unwrap();
    }
    publish(&auth, "accounts.v1.closed.x".to_owned(), "x").await;
    publish(&shortener, "$KV.links.x".to_owned(), "x").await;
    publish(&redirector, "clicks.v1.0.x".to_owned(), "x").await;
    for (bus, stream) in [
        (&auth, &streams::ACCOUNTS),
        (&shortener, &streams::ACCOUNTS),
        (&shortener, &streams::LINKS),
        (&redirector, &streams::LINKS),
        (&analytics, &streams::CLICKS),
        (&analytics, &streams::ACCOUNTS),
        (&analytics, &streams::LINKS),
    ] {
        for filter in [None, Some(stream.subjects[0])] {
            let follow = bus.follow(stream.name, filter, Start::First).await;
            let message = follow.unwrap().next().await.unwrap().unwrap();
            assert_eq!(&message.payload[..], b"x");
        }
    }
}

#[test]
fn secrets_stay_when_they_are_made_again_and_are_for_their_owner_only() {
    let folder = Folder::new();
    make_secrets(folder.path());
    let names = [
        "auth/nats.nk",
        "operator/nats.nk",
        "redirector/visitor-salt",
        "nats/authorization.conf",
    ];
    let read = || names.map(|name| std::fs::read(folder.path().join(name)).unwrap());
    let first = read();
    make_secrets(folder.path());
    assert_eq!(read(), first);
    for name in names {
        let file = folder.path().join(name);
        for path in [file.as_path(), file.parent().unwrap()] {
            let mode = std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_key_is_replaced_while_the_old_one_is_in_use() {
    let folder = Folder::new();
    make_secrets(folder.path());
    let auth = folder.path().join("auth");
    let (old, new) = (auth.join("old.nk"), auth.join("nats.nk"));
    std::fs::rename(&new, &old).unwrap();
    make_secrets(folder.path());
    let both = server(folder.path()).await;
    for seed in [&old, &new] {
        assert!(is_let_in(&both, seed).await);
    }
    let stolen = folder.path().join("stolen.nk");
    std::fs::rename(&old, &stolen).unwrap();
    make_secrets(folder.path());
    let one = server(folder.path()).await;
    assert!(is_let_in(&one, &new).await);
    assert!(!is_let_in(&one, &stolen).await);
    // Nobody comes in without a key.
    assert!(async_nats::connect(one.url()).await.is_err());
}

async fn is_let_in(server: &NatsServer, seed: &Path) -> bool {
    let seed = std::fs::read_to_string(seed).unwrap();
    let connecting = async_nats::ConnectOptions::with_nkey(seed).connect(server.url());
    connecting.await.is_ok()
}

#[tokio::test]
async fn with_partitions_the_rights_are_for_the_streams_of_each() {
    let folder = Folder::new();
    let path = folder.path();
    for number in ["0", "65", "many"] {
        let mut secrets = command(path);
        let secrets = secrets.arg("secrets").arg(path);
        let (status, text) = run(secrets.args(["--partitions", number]));
        assert!(!status.success(), "{number}: {text}");
    }
    let mut secrets = command(path);
    let (status, text) = run(secrets.arg("secrets").arg(path).args(["--partitions", "3"]));
    assert!(status.success(), "{text}");
    // It is remembered.
    make_secrets(path);
    let server = server(path).await;
    let analytics = open(&server, path, "analytics").await;
    for partition in Partition::all(3) {
        for stream in [&streams::CLICKS, &streams::FEED] {
            analytics.declare_in(stream, partition).await.unwrap();
        }
    }
    let names = analytics.jetstream().stream_names();
    assert_eq!(names.count().await, 6);
    let redirector = open(&server, path, "redirector").await;
    let third = Partition::new(2, 3).unwrap();
    let subject = subjects::clicks(third, uuid::Uuid::nil());
    publish(&redirector, subject.clone(), "x").await;
    let stream = redirector.jetstream().get_stream_no_info("CLICKS_2_OF_3");
    let last = stream.await.unwrap();
    let last = last.get_last_raw_message_by_subject(&subject).await;
    assert_eq!(&last.unwrap().payload[..], b"x");
    // What is not there belongs to nobody.
    let (client, mut refusals) = connect(&server, path, "analytics").await;
    let strange = ["CLICKS", "CLICKS_3_OF_3", "CLICKS_0_OF_2"];
    let strange = strange.map(|name| format!("$JS.API.STREAM.INFO.{name}"));
    for subject in &strange {
        client.publish(subject.clone(), "".into()).await.unwrap();
    }
    assert_eq!(refused(&client, &mut refusals).await, strange);
}
