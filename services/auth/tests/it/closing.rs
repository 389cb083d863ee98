//! Leaving for good, and telling everybody.

use std::collections::HashMap;

use chassis::bus::Start;
use chassis::testing::{NatsServer, eventually};
use events::AccountClosed;
use events::streams::ACCOUNTS;
use uuid::Uuid;

use crate::support::{PASSWORD, TestApp};

/// What the stream holds, once it holds at least `least` messages and the outbox is empty.
async fn told(app: &TestApp, least: u64) -> HashMap<Uuid, Vec<i64>> {
    let database = app.database();
    eventually(|| async {
        let waiting: i64 = database
            .query_row("SELECT count(*) FROM outbox", [], |row| row.get(0))
            .unwrap();
        let mut follow = app
            .running
            .bus()
            .follow(ACCOUNTS.name, None, Start::First)
            .await
            .ok()?;
        if waiting > 0 || follow.backlog() < least {
            return None;
        }
        let mut told: HashMap<Uuid, Vec<i64>> = HashMap::new();
        for _ in 0..follow.backlog() {
            let message = follow.next().await?.ok()?;
            let closed = AccountClosed::decode(&message.payload).unwrap();
            assert_eq!(
                message.subject,
                events::subjects::account_closed(closed.user_id)
            );
            told.entry(closed.user_id).or_default().push(closed.at_ms);
        }
        Some(told)
    })
    .await
}

async fn id(app: &TestApp, access: &str) -> Uuid {
    app.me(access).await.body["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// How many messages the stream ever took.
async fn published(app: &TestApp) -> u64 {
    let stream = app
        .running
        .bus()
        .jetstream()
        .get_stream(ACCOUNTS.name)
        .await
        .unwrap();
    stream.cached_info().state.last_sequence
}

#[tokio::test]
async fn a_closed_account_is_gone_and_everybody_is_told_once() {
    let app = TestApp::start().await;
    let ada = app.newcomer("ada").await;
    let other = app.log_in("ada").await;
    let user_id = id(&app, &ada.access).await;

    app.close(&ada.access, "not my password")
        .await
        .is_problem(403);
    assert_eq!(app.close(&ada.access, PASSWORD).await.status, 204);

    for tokens in [&ada, &other] {
        app.me(&tokens.access).await.is_problem(401);
        app.refresh(&tokens.refresh).await.is_problem(401);
        app.close(&tokens.access, PASSWORD).await.is_problem(401);
    }
    app.try_log_in("ada", PASSWORD).await.is_problem(401);
    let at_ms = app.clock.now_ms();
    assert_eq!(told(&app, 1).await, HashMap::from([(user_id, vec![at_ms])]));
    assert_eq!(published(&app).await, 1);

    let app = app.restart().await;
    app.me(&ada.access).await.is_problem(401);
    assert_eq!(published(&app).await, 1, "a restart tells nothing again");
}

#[tokio::test]
async fn an_account_that_is_closed_twice_at_once_is_told_once() {
    let app = TestApp::start().await;
    let ada = app.newcomer("ada").await;
    let (a, b) = tokio::join!(
        app.close(&ada.access, PASSWORD),
        app.close(&ada.access, PASSWORD)
    );
    let mut statuses = [a.status.as_u16(), b.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 401]);
    told(&app, 1).await;
    assert_eq!(published(&app).await, 1);
}

#[tokio::test]
async fn accounts_are_closed_without_nats_and_told_once_when_it_is_back() {
    let mut nats = NatsServer::start().await;
    nats.stop().await;
    let mut app = TestApp::start_on(nats).await;
    let ada = app.newcomer("ada").await;
    let user_id = id(&app, &ada.access).await;
    assert_eq!(app.close(&ada.access, PASSWORD).await.status, 204);
    app.nats.restart().await;
    assert_eq!(
        told(&app, 1).await.into_keys().collect::<Vec<_>>(),
        [user_id]
    );
    assert_eq!(published(&app).await, 1);

    let grace = app.newcomer("grace").await;
    app.nats.stop().await;
    assert_eq!(app.close(&grace.access, PASSWORD).await.status, 204);
    let app = app.restart().await;
    app.me(&grace.access).await.is_problem(401);
    let app = app
        .restart_after(async |nats, _| nats.restart().await)
        .await;
    assert_eq!(told(&app, 2).await.len(), 2);
    assert_eq!(published(&app).await, 2);
}

#[tokio::test]
async fn the_name_of_a_closed_account_is_free_and_its_id_is_not() {
    let app = TestApp::start().await;
    let before = app.newcomer("ada").await;
    let old_id = id(&app, &before.access).await;
    assert_eq!(app.close(&before.access, PASSWORD).await.status, 204);
    let after = app.newcomer("ada").await;
    assert_ne!(id(&app, &after.access).await, old_id);
    app.me(&before.access).await.is_problem(401);
}

#[tokio::test]
async fn a_backup_does_not_revive_a_closed_account() {
    let app = TestApp::start().await;
    let ada = app.newcomer("ada").await;
    let grace = app.newcomer("grace").await;
    let folder = chassis::testing::Folder::new();
    let backup = folder.path().join("backup.db");
    app.database()
        .execute("VACUUM INTO ?1", [backup.to_str().unwrap()])
        .unwrap();
    assert_eq!(app.close(&ada.access, PASSWORD).await.status, 204);
    told(&app, 1).await;

    let app = app.restart_after(async |_, database| {
        for journal in ["-wal", "-shm"] {
            let mut name = database.clone().into_os_string();
            name.push(journal);
            let _ = std::fs::remove_file(name);
        }
        std::fs::copy(&backup, &database).unwrap();
    });
    let app = app.await;
    eventually(|| async { (app.me(&ada.access).await.status == 401).then_some(()) }).await;
    app.try_log_in("ada", PASSWORD).await.is_problem(401);
    assert_eq!(app.me(&grace.access).await.status, 200);
    assert_eq!(published(&app).await, 1);
}

#[tokio::test]
async fn a_stream_that_was_made_anew_is_told_of_everybody_again() {
    let app = TestApp::start().await;
    let ada = app.newcomer("ada").await;
    let user_id = id(&app, &ada.access).await;
    assert_eq!(app.close(&ada.access, PASSWORD).await.status, 204);
    let before = told(&app, 1).await;
    app.running
        .bus()
        .jetstream()
        .delete_stream(ACCOUNTS.name)
        .await
        .unwrap();
    let app = app.restart().await;
    let after = told(&app, 1).await;
    assert_eq!(after, before, "with the time of then");
    assert!(after.contains_key(&user_id));
}
