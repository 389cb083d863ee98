//! The real program, stopped in order while NATS is away.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use chassis::testing::{Folder, eventually};
use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Stage, link};

/// A redirector as an operator runs it; killed with its value.
struct Program {
    child: Child,
    log: PathBuf,
    url: String,
    _folder: Folder,
}

impl Program {
    /// Starts it with its spool in the stage's folder, and waits until it serves the link `docs`.
    async fn start(stage: &Stage, settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let log = folder.path().join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_redirector"))
            .env("KURZ_LISTEN", "127.0.0.1:0")
            .env("KURZ_ADMIN_LISTEN", "127.0.0.1:0")
            .env("KURZ_PUBLIC_URL", "http://kurz.test")
            .env("KURZ_NATS_URL", stage.nats.url())
            .env("KURZ_SPOOL", stage.folder.path())
            .env("KURZ_SNAPSHOT_WAIT", "0")
            .env("KURZ_VISITOR_SALT", "a salt for tests only")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut program = Self {
            child,
            log,
            url: String::new(),
            _folder: folder,
        };
        let listening = program.says("serving listen=").await;
        let address = listening.split("listen=").nth(1).unwrap();
        program.url = format!("http://{}/docs", address.split(' ').next().unwrap());
        eventually(|| async { (program.visit().await == StatusCode::FOUND).then_some(()) }).await;
        program
    }

    /// Follows the link once.
    async fn visit(&self) -> StatusCode {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none());
        let answer = client.build().unwrap().get(&self.url).send().await;
        answer.unwrap().status()
    }

    /// Waits until a line of its log holds `text`; that line.
    async fn says(&self, text: &str) -> String {
        eventually(|| async { self.lines(text).pop() }).await
    }

    /// The lines of its log that hold `text`.
    fn lines(&self, text: &str) -> Vec<String> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let lines = log.lines().filter(|line| line.contains(text));
        lines.map(str::to_owned).collect()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    async fn ended(&mut self) -> ExitStatus {
        eventually(|| {
            let status = self.child.try_wait().unwrap();
            async move { status }
        })
        .await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with a snapshot that knows the link `docs`, and a bus that is away.
async fn stage() -> Stage {
    let mut stage = Stage::new().await;
    stage.put(&link("docs")).await;
    stage.redirector().await.stop().await;
    stage.nats.stop().await;
    stage
}

#[tokio::test]
async fn a_stop_waits_for_nats_and_publishes_everything() {
    let mut stage = stage().await;
    let mut program = Program::start(&stage, &[("KURZ_STOP_TIMEOUT", "120")]).await;
    // The one that it was ready with, and these.
    for _ in 0..29 {
        program.visit().await;
    }
    program.signal(Signal::TERM);
    let waits = program.says("stopping: clicks wait for NATS").await;
    assert!(waits.contains("clicks=30"), "{waits}");
    stage.nats.restart().await;
    assert!(program.ended().await.success());
    assert_eq!(program.lines("every click is in the stream").len(), 1);
    assert_eq!(stage.clicks(30).await.1.len(), 30);
}

#[tokio::test]
async fn a_stop_without_nats_says_how_many_clicks_are_left_and_the_next_start_publishes_them() {
    let mut stage = stage().await;
    let killed = Program::start(&stage, &[]).await;
    for _ in 0..6 {
        killed.visit().await;
    }
    drop(killed);
    let mut program = Program::start(&stage, &[("KURZ_STOP_TIMEOUT", "1")]).await;
    for _ in 0..4 {
        program.visit().await;
    }
    program.signal(Signal::TERM);
    assert!(program.ended().await.success());
    let stay = program.lines("clicks of this spool stay in the folder");
    let of = |clicks: &str| stay.iter().filter(|line| line.contains(clicks)).count();
    assert_eq!((of("clicks=7"), of("clicks=5")), (1, 1), "{stay:?}");
    let sum = program.says("NATS took not all clicks: the next").await;
    assert!(
        sum.contains("WARN") && sum.contains("clicks=12 spools=2"),
        "{sum}"
    );

    stage.nats.restart().await;
    let mut program = Program::start(&stage, &[]).await;
    program.signal(Signal::TERM);
    assert!(program.ended().await.success());
    // And the one that it was ready with.
    assert_eq!(program.lines("every click is in the stream").len(), 1);
    assert_eq!(stage.clicks(13).await.1.len(), 13);
}

#[tokio::test]
async fn at_the_level_memory_a_stop_without_nats_says_how_many_clicks_are_lost() {
    let stage = stage().await;
    let settings = [
        ("KURZ_CLICK_DURABILITY", "memory"),
        ("KURZ_STOP_TIMEOUT", "1"),
    ];
    let mut program = Program::start(&stage, &settings).await;
    for _ in 0..8 {
        program.visit().await;
    }
    program.signal(Signal::TERM);
    assert!(program.ended().await.success());
    let lost = program.says("they are lost with this process").await;
    assert!(
        lost.contains("ERROR") && lost.contains("clicks=9"),
        "{lost}"
    );
}
