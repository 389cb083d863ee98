use std::net::TcpListener;
use std::process::Command;

use chassis::testing::Folder;

use crate::process::{Kurz, command, log_in, make_link};

/// Commands must know where the admin listener is, so these tests choose its port.
fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

fn ask(admin: &str, word: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kurz"))
        .arg(word)
        .env("KURZ_ADMIN_LISTEN", admin)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn commands_ask_the_running_process() {
    let folder = Folder::new();
    let admin = free_port();
    let (healthy, text) = ask(&admin, "healthcheck");
    assert!(!healthy && text.contains("nobody answers"), "{text}");

    let mut start = command(folder.path());
    start.env("KURZ_ADMIN_LISTEN", &admin);
    let kurz = Kurz::start_with(start, folder.path()).await;
    chassis::testing::eventually(|| async { ask(&admin, "healthcheck").0.then_some(()) }).await;
    let token = log_in(&kurz).await;
    let (rotated, text) = ask(&admin, "rotate-key");
    assert!(rotated, "{text}");
    // The token of before is still good.
    make_link(&kurz, &token, "rust").await;
    make_link(&kurz, &log_in(&kurz).await, "go").await;
    let (resynced, text) = ask(&admin, "resync");
    assert!(resynced, "{text}");
    let (known, text) = ask(&admin, "frobnicate");
    assert!(!known && text.contains("resync"), "{text}");
    assert!(kurz.terminate().success());
}
