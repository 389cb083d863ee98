//! Databases that are lost, and come back: real processes, and the story of docs/operations.md.

use std::path::Path;
use std::process::Command;

use chassis::testing::{Folder, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::process::{Kurz, client, command, counted, log_in, make_link, run, visit};

/// A command on the data folder, or to the running process; whether it was done, and what it said.
fn kurz(folder: &Path, admin: &str, words: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kurz"))
        .args(words.split(' '))
        .env("KURZ_DATA", folder)
        .env("KURZ_ADMIN_LISTEN", admin)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

async fn post(kurz: &Kurz, path: &str, token: &str, body: &Value) -> (StatusCode, Value) {
    let request = client().post(format!("{}{path}", kurz.url)).json(body);
    let answer = request.bearer_auth(token).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

/// How an answer to GET begins.
async fn get(kurz: &Kurz, path: &str, token: &str) -> StatusCode {
    let request = client().get(format!("{}{path}", kurz.url));
    request.bearer_auth(token).send().await.unwrap().status()
}

fn credentials(name: &str) -> Value {
    json!({ "username": name, "password": "correct horse battery staple" })
}

/// Takes the database away, with its journals.
fn lose(folder: &Path, database: &str) {
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with(database) {
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[tokio::test]
async fn lost_databases_come_back_and_every_answered_click_is_counted_once() {
    let folder = Folder::new();
    let running = Kurz::start(folder.path()).await;
    let admin = running.admin();
    let token = log_in(&running).await;
    post(&running, "/auth/users", "", &credentials("carol")).await;
    make_link(&running, &token, "kept").await;
    for _ in 0..20 {
        visit(&running, "kept").await;
    }
    assert_eq!(counted(&running, &token, "kept", 20).await, 20);
    let (copied, text) = kurz(folder.path(), &admin, "backup");
    assert!(copied, "{text}");

    // What happens after the backup.
    make_link(&running, &token, "late").await;
    for _ in 0..35 {
        visit(&running, "kept").await;
    }
    for _ in 0..5 {
        visit(&running, "late").await;
    }
    assert_eq!(counted(&running, &token, "kept", 55).await, 55);
    assert_eq!(counted(&running, &token, "late", 5).await, 5);
    post(&running, "/auth/users", "", &credentials("bob")).await;
    let (_, carol) = post(&running, "/auth/tokens", "", &credentials("carol")).await;
    let password = json!({ "password": "correct horse battery staple" });
    let carol = carol["access_token"].as_str().unwrap();
    let (closed, _) = post(&running, "/auth/users/me/close", carol, &password).await;
    assert_eq!(closed, StatusCode::NO_CONTENT);
    let (done, text) = kurz(folder.path(), &admin, "restore clicks");
    assert!(
        !done && text.contains("a process has the database"),
        "{text}"
    );
    let (listed, text) = kurz(folder.path(), &admin, "restore clicks --list");
    assert!(listed && text.contains(" good\n"), "{text}");
    assert!(running.terminate().success());

    // Nothing starts on an empty one instead.
    for database in ["auth", "links", "clicks"] {
        lose(folder.path(), &format!("{database}.db"));
        let (status, problem) = run(&mut command(folder.path()));
        assert!(!status.success());
        assert!(
            problem.contains(&format!("{database}.db is missing")),
            "{problem}"
        );
        assert!(problem.contains("`restore`"), "{problem}");
        let words = format!("restore {database}");
        let (restored, text) = kurz(folder.path(), &admin, &words);
        assert!(restored && text.contains("restored: "), "{text}");
    }
    let (known, text) = kurz(folder.path(), &admin, "restore everything");
    assert!(
        !known && text.contains("kurz restore auth|links|clicks"),
        "{text}"
    );

    let running = Kurz::start(folder.path()).await;
    let token = log_in(&running).await;
    // Exactly what was answered.
    assert_eq!(counted(&running, &token, "kept", 55).await, 55);
    for _ in 0..7 {
        visit(&running, "kept").await;
    }
    assert_eq!(counted(&running, &token, "kept", 62).await, 62);
    let (audited, text) = kurz(folder.path(), &running.admin(), "audit");
    assert!(audited && text.contains("nothing is missing"), "{text}");
    // The link that was made since is gone, also from the link table.
    let late = "/shortener/links/late";
    assert_eq!(get(&running, late, &token).await, StatusCode::NOT_FOUND);
    eventually(|| async { (get(&running, "/late", "").await == 404).then_some(()) }).await;
    // So is the account; the one that was closed since is closed again.
    let log_in = async |name: &str| {
        let (status, _) = post(&running, "/auth/tokens", "", &credentials(name)).await;
        status
    };
    assert_eq!(log_in("bob").await, StatusCode::UNAUTHORIZED);
    eventually(|| async { (log_in("carol").await == 401).then_some(()) }).await;
    assert!(running.terminate().success());
}

#[tokio::test]
async fn an_interval_makes_backups_from_the_first_start_on() {
    let folder = Folder::new();
    let mut scheduled = command(folder.path());
    scheduled.env("KURZ_BACKUP_INTERVAL", "24h");
    let running = Kurz::start_with(scheduled, folder.path()).await;
    for database in ["auth", "links", "clicks"] {
        let words = format!("restore {database} --list");
        let admin = running.admin();
        eventually(|| async {
            let (_, text) = kurz(folder.path(), &admin, &words);
            text.contains(" good\n").then_some(())
        })
        .await;
    }
    let metrics = format!("http://{}/metrics", running.admin());
    let metrics = client().get(metrics).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for database in ["auth.db", "links.db", "clicks.db"] {
        let label = format!("{{database=\"{database}\"}} ");
        let value = |metric: &str| {
            let line = format!("{metric}{label}");
            let value = metrics.lines().find_map(|text| text.strip_prefix(&line));
            value.and_then(|value| value.parse::<f64>().ok())
        };
        assert_eq!(value("kurz_backup_failures_total"), Some(0.0), "{metrics}");
        let made = value("kurz_backup_last_success_timestamp_seconds").unwrap();
        assert!(made > 1.7e9, "{metrics}");
    }
    assert!(running.terminate().success());
}
