use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use chassis::testing::{Folder, eventually};

use crate::process::{Kurz, command, counted, log_in, make_link, run, visit};

#[tokio::test]
async fn the_commands_that_it_prints_work_as_they_stand() {
    let folder = Folder::new();
    let kurz = Kurz::start(folder.path()).await;
    let commands: Vec<&str> = kurz
        .greeting
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("curl"))
        .collect();
    assert_eq!(commands.len(), 4, "{}", kurz.greeting);
    let visit = format!("curl -sS -A Mozilla {}/rust", kurz.url);
    let script = [commands[0], commands[1], commands[2], &visit].join(" && echo && ");
    let shell = |script: &str| {
        let output = Command::new("sh")
            .arg("-c")
            .arg(script)
            .stdin(Stdio::null())
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let made = shell(&script);
    assert!(made.contains("\"short_url\""), "{made}");
    let count = [commands[1], commands[3]].join(" && ");
    eventually(|| async { shell(&count).contains("\"clicks\":1").then_some(()) }).await;
    assert!(kurz.terminate().success());
}

#[tokio::test]
async fn every_fault_of_the_configuration_is_told_at_once() {
    let folder = Folder::new();
    let (status, text) = run(command(folder.path())
        .env("KURZ_LISTEN", "80a")
        .env("KURZ_CLICK_DURABILITY", "forever")
        .env("KURZ_CLICK_RETENTION", "soon")
        .env("KURZ_PUBLIC_URL", "https://example.org/path"));
    assert_eq!(status.code(), Some(78));
    for name in [
        "KURZ_LISTEN",
        "KURZ_CLICK_DURABILITY",
        "KURZ_CLICK_RETENTION",
        "KURZ_PUBLIC_URL",
    ] {
        assert!(text.contains(name), "{text}");
    }
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[tokio::test]
async fn a_missing_nats_server_is_explained() {
    let folder = Folder::new();
    let (status, text) =
        run(command(folder.path()).env("KURZ_NATS_SERVER", "/nowhere/nats-server"));
    assert!(!status.success());
    assert!(
        text.contains("KURZ_NATS_SERVER") && text.contains("make tools"),
        "{text}"
    );
}

#[tokio::test]
async fn two_cannot_use_one_folder() {
    let folder = Folder::new();
    let first = Kurz::start(folder.path()).await;
    let (status, text) = run(&mut command(folder.path()));
    assert!(!status.success());
    assert!(text.contains("another kurz"), "{text}");
    assert!(first.terminate().success());
}

#[tokio::test]
async fn secrets_are_made_once_and_are_for_their_owner_only() {
    let folder = Folder::new();
    assert!(Kurz::start(folder.path()).await.terminate().success());
    let files = ["visitor-salt", "nats.nk", "auth.db"];
    let read = || files.map(|name| std::fs::read(folder.path().join(name)).unwrap());
    let first = read();
    for name in files {
        let mode = std::fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
    assert!(Kurz::start(folder.path()).await.terminate().success());
    assert_eq!(read()[..2], first[..2]);
}

#[tokio::test]
async fn nobody_else_may_use_its_bus() {
    let folder = Folder::new();
    let kurz = Kurz::start(folder.path()).await;
    let config = std::fs::read_to_string(folder.path().join("nats.conf")).unwrap();
    let address = config
        .lines()
        .find_map(|line| line.strip_prefix("listen: "))
        .unwrap();
    let stranger = chassis::bus::BusConfig {
        url: format!("nats://{}", address.trim_matches('"')),
        credentials: None,
        replicas: 1,
    };
    let shutdown = chassis::shutdown::Shutdown::new();
    let bus = chassis::bus::Bus::connect(&stranger, "stranger", &shutdown)
        .await
        .unwrap();
    let token = log_in(&kurz).await;
    make_link(&kurz, &token, "busy").await;
    visit(&kurz, "busy").await;
    assert_eq!(counted(&kurz, &token, "busy", 1).await, 1);
    assert!(!bus.is_connected());
}
