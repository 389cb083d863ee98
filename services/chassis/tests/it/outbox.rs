use std::time::Duration;

use chassis::bus::Bus;
use chassis::outbox::{self, Relay};
use chassis::ready::Readiness;
use chassis::shutdown::Shutdown;
use chassis::sqlite::{Closed, Database, Migration, Profile};
use chassis::testing::{Folder, NatsServer, eventually};
use events::streams::LINKS;

use crate::support::bus;

const SCHEMA: &[Migration] = &[outbox::MIGRATION];

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Closed(#[from] Closed),
    #[error("changed my mind")]
    Undone,
}

async fn open(folder: &Folder) -> Database {
    let path = folder.path().join("x.db");
    let (shutdown, ready) = (Shutdown::new(), Readiness::default());
    Database::open(&path, Profile::Local, SCHEMA, &shutdown, &ready)
        .await
        .unwrap()
}

async fn put(database: &Database, code: &str, value: &str) -> i64 {
    let (subject, value) = (events::subjects::link(code), value.to_owned());
    database
        .write(move |tx| Ok::<_, Error>(outbox::append(tx, &subject, value.as_bytes())?))
        .await
        .unwrap()
}

/// How many rows are in the outbox.
async fn waiting(database: &Database) -> i64 {
    database
        .read(|connection| {
            let sql = "SELECT count(*) FROM outbox";
            Ok::<_, Error>(connection.query_row(sql, [], |row| row.get(0))?)
        })
        .await
        .unwrap()
}

async fn value(bus: &Bus, code: &str) -> Option<String> {
    let stream = bus.jetstream().get_stream(LINKS.name).await.ok()?;
    let message = stream
        .get_last_raw_message_by_subject(&events::subjects::link(code))
        .await
        .ok()?;
    String::from_utf8(message.payload.to_vec()).ok()
}

#[tokio::test]
async fn the_last_value_wins_also_when_nats_was_away() {
    let mut nats = NatsServer::start().await;
    let bus = bus(&nats).await;
    bus.declare(&LINKS).await.unwrap();
    nats.stop().await;

    let folder = Folder::new();
    let database = open(&folder).await;
    let shutdown = Shutdown::new();
    let relay = Relay::start(database.clone(), &bus, &shutdown);
    let mut last = 0;
    for number in 0..600 {
        last = put(&database, &format!("c{}", number % 7), &number.to_string()).await;
    }
    assert!(!relay.sent(last, Duration::from_millis(50)).await);

    nats.restart().await;
    eventually(|| async {
        relay
            .sent(last, Duration::from_millis(100))
            .await
            .then_some(())
    })
    .await;
    for code in 0..7 {
        let expected = (0..600).rev().find(|number| number % 7 == code).unwrap();
        assert_eq!(
            value(&bus, &format!("c{code}")).await.unwrap(),
            expected.to_string()
        );
    }
}

#[tokio::test]
async fn thousands_on_their_way_arrive_in_order_also_when_nats_restarts_meanwhile() {
    let mut nats = NatsServer::start().await;
    let bus = bus(&nats).await;
    bus.declare(&LINKS).await.unwrap();
    let folder = Folder::new();
    let database = open(&folder).await;
    // More than are sent before the restart.
    let many = 20_000;
    let fill = database.write(move |tx| {
        let mut last = 0;
        for number in 0..many {
            let subject = events::subjects::link(&format!("c{}", number % 11));
            last = outbox::append(tx, &subject, number.to_string().as_bytes())?;
        }
        Ok::<_, Error>(last)
    });
    let last = fill.await.unwrap();
    let shutdown = Shutdown::new();
    let relay = Relay::start(database.clone(), &bus, &shutdown);
    assert!(relay.sent(1, Duration::from_secs(10)).await);
    nats.stop().await;
    nats.restart().await;
    assert!(relay.sent(last, Duration::from_mins(1)).await);
    for code in 0..11 {
        let expected = (0..many).rev().find(|number| number % 11 == code).unwrap();
        assert_eq!(
            value(&bus, &format!("c{code}")).await.unwrap(),
            expected.to_string()
        );
    }
    eventually(|| async { (waiting(&database).await == 0).then_some(()) }).await;
}

#[tokio::test]
async fn a_change_that_was_undone_tells_nobody() {
    let nats = NatsServer::start().await;
    let bus = bus(&nats).await;
    bus.declare(&LINKS).await.unwrap();
    let folder = Folder::new();
    let database = open(&folder).await;
    let relay = Relay::start(database.clone(), &bus, &Shutdown::new());
    let undone = database.write(|tx| {
        outbox::append(tx, &events::subjects::link("undone"), b"x")?;
        Err::<(), _>(Error::Undone)
    });
    assert!(matches!(undone.await, Err(Error::Undone)));
    let row = put(&database, "kept", "x").await;
    assert!(relay.sent(row, Duration::from_secs(10)).await);
    assert_eq!(value(&bus, "undone").await, None);
    let delete = database
        .write(|tx| Ok::<_, Error>(outbox::append_delete(tx, &events::subjects::link("kept"))?));
    let row = delete.await.unwrap();
    assert!(relay.sent(row, Duration::from_secs(10)).await);
    assert_eq!(value(&bus, "kept").await.unwrap(), "");
}
