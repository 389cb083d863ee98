use std::process::Command;

use chassis::testing::Folder;

use crate::process::{Kurz, counted, log_in, make_link, visit};

fn ask(admin: &str, words: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kurz"))
        .args(words.split(' '))
        .env("KURZ_ADMIN_LISTEN", admin)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn commands_ask_the_running_process() {
    let folder = Folder::new();
    // A port on which nobody can listen.
    let (healthy, text) = ask("127.0.0.1:1", "healthcheck");
    assert!(!healthy && text.contains("nobody answers"), "{text}");

    let kurz = Kurz::start(folder.path()).await;
    let admin = kurz.admin();
    chassis::testing::eventually(|| async { ask(&admin, "healthcheck").0.then_some(()) }).await;
    let token = log_in(&kurz).await;
    let (rotated, text) = ask(&admin, "rotate-key");
    assert!(rotated, "{text}");
    // The token of before is still good.
    make_link(&kurz, &token, "rust").await;
    make_link(&kurz, &log_in(&kurz).await, "go").await;
    let (resynced, text) = ask(&admin, "resync");
    assert!(resynced, "{text}");
    let (audited, text) = ask(&admin, "audit");
    assert!(audited && text.contains("nothing is missing"), "{text}");
    let (rebuilt, text) = ask(&admin, "rebuild --accept");
    assert!(
        !rebuilt && text.contains("nothing was counted yet"),
        "{text}"
    );
    let (copied, text) = ask(&admin, "backup");
    assert!(copied, "{text}");
    for (path, name) in text.lines().zip(["auth-", "links-", "clicks-"]) {
        let path = std::path::Path::new(path);
        assert!(path.starts_with(folder.path().join("backups")), "{text}");
        assert!(
            path.is_file() && path.to_str().unwrap().contains(name),
            "{text}"
        );
    }
    assert_eq!(text.lines().count(), 3, "{text}");
    let (known, text) = ask(&admin, "frobnicate");
    assert!(!known, "{text}");
    for word in [
        "resync",
        "backup",
        "rebuild",
        "openapi",
        "secrets <folder>",
        "subscriber <folder>",
    ] {
        assert!(text.contains(&format!("kurz {word}")), "{text}");
    }
    assert_eq!(text.matches("kurz backup").count(), 1, "{text}");
    assert!(kurz.terminate().success());
}

#[tokio::test]
async fn streams_of_a_version_without_accounts_are_kept() {
    let folder = Folder::new();
    let kurz = Kurz::start(folder.path()).await;
    let token = log_in(&kurz).await;
    make_link(&kurz, &token, "rust").await;
    visit(&kurz, "rust").await;
    counted(&kurz, &token, "rust", 1).await;
    assert!(kurz.terminate().success());

    let streams = folder.path().join("nats/jetstream");
    std::fs::rename(streams.join("KURZ"), streams.join("$G")).unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.to_str().unwrap().contains("clicks.db") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let kurz = Kurz::start(folder.path()).await;
    // Only the stream knows of it.
    assert_eq!(counted(&kurz, &log_in(&kurz).await, "rust", 1).await, 1);
    assert!(kurz.terminate().success());
}
