//! The command `restore`, as a one-off pod runs it: nothing but variables, arguments and volumes.

use std::path::{Path, PathBuf};
use std::process::Command;

use chassis::testing::{Folder, NatsServer, eventually};

use crate::support::{PASSWORD, TestApp};

/// How it ended, and what it said.
fn run(database: Option<&Path>, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auth"));
    command.env_clear().arg("restore").args(arguments);
    if let Some(database) = database {
        command.env("KURZ_DATABASE", database);
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn the_exit_code_says_what_is_wrong() {
    let folder = Folder::new();
    let database = folder.path().join("auth.db");
    let (code, text) = run(None, &[]);
    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("KURZ_DATABASE is missing"), "{text}");
    let (code, text) = run(Some(&database), &["--newest"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("auth restore [<backup> | --list]"), "{text}");
    let (code, text) = run(Some(&database), &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("there is no good backup"), "{text}");
    let (code, text) = run(Some(&database), &["--list"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("there is no backup in"), "{text}");
}

#[tokio::test]
async fn a_running_service_keeps_its_database_and_a_stopped_one_gets_it_back() {
    let app = TestApp::start().await;
    app.newcomer("ada").await;
    let backup = format!("{}/backup/auth", app.running.admin_url);
    let made = app.running.client().post(backup).send().await.unwrap();
    assert_eq!(made.status(), 200);
    let copy = made.text().await.unwrap();
    let folder = Path::new(copy.trim()).parent().unwrap().parent().unwrap();
    let database = folder.join("auth.db");
    app.newcomer("bob").await;
    let (code, text) = run(Some(&database), &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("a process has the database"), "{text}");

    let restored = async |_: &mut NatsServer, database: PathBuf| {
        // The last connections close behind the last answer.
        let text = eventually(|| async {
            let (code, text) = run(Some(&database), &[]);
            (code == Some(0)).then_some(text)
        });
        let text = text.await;
        assert!(text.contains(copy.trim()), "{text}");
        assert!(text.contains("from the stream ACCOUNTS"), "{text}");
    };
    let app = app.restart_after(restored).await;
    app.log_in("ada").await;
    assert_eq!(app.try_log_in("bob", PASSWORD).await.status, 401);
}
