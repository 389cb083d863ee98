use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use chassis::testing::eventually;
use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery staple";

/// A running kurz; killed with its value, its nats-server too.
pub struct Kurz {
    child: Child,
    pub url: String,
    pub greeting: String,
    data: std::path::PathBuf,
}

/// A command that runs kurz on free ports with its data in `data`.
pub fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kurz"));
    command
        .env("KURZ_DATA", data)
        .env("KURZ_LISTEN", "127.0.0.1:0")
        .env("KURZ_ADMIN_LISTEN", "127.0.0.1:0")
        .env("KURZ_NATS_LISTEN", "127.0.0.1:0")
        .env("KURZ_LOG", "warn")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end; what it wrote to standard error, and how it ended.
pub fn run(command: &mut Command) -> (ExitStatus, String) {
    let output = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

impl Kurz {
    /// Starts it and waits until it serves.
    pub async fn start(data: &Path) -> Self {
        Self::start_with(command(data), data).await
    }

    pub async fn start_with(mut command: Command, data: &Path) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        // It greets once it serves; when it can't, its output ends.
        while !greeting.contains("Ctrl-C") && stdout.read_line(&mut greeting).unwrap() > 0 {}
        if greeting.is_empty() {
            let mut problem = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut problem)
                .unwrap();
            panic!("kurz did not start: {problem}");
        }
        let url = greeting
            .split_whitespace()
            .nth(3)
            .unwrap()
            .trim_end_matches(';')
            .to_owned();
        let kurz = Self {
            child,
            url,
            greeting,
            data: data.to_owned(),
        };
        let probe = format!("{}/robots.txt", kurz.url);
        eventually(|| async { client().get(&probe).send().await.ok() }).await;
        kurz
    }

    /// Where it listens for commands, as it says itself.
    pub fn admin(&self) -> String {
        let line = self
            .greeting
            .lines()
            .find(|line| line.starts_with("Health"))
            .unwrap();
        line.split('/').nth(2).unwrap().to_owned()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process id of its nats-server.
    pub fn nats_pid(&self) -> u32 {
        nats_pid(&self.data).unwrap()
    }

    /// Ends it at once.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end as Ctrl-C or Kubernetes does, and waits for that.
    pub fn terminate(mut self) -> ExitStatus {
        signal(self.pid(), Signal::TERM);
        self.child.wait().unwrap()
    }
}

impl Drop for Kurz {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
            drop(Cleanup(&self.data));
        }
    }
}

/// Ends the nats-server that a killed kurz left in this folder, with its value.
pub struct Cleanup<'a>(pub &'a Path);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        if let Some(pid) = nats_pid(self.0) {
            signal(pid, Signal::KILL);
        }
    }
}

/// The nats-server that runs with the configuration in this folder.
fn nats_pid(data: &Path) -> Option<u32> {
    let pid: u32 = std::fs::read_to_string(data.join("nats.pid"))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    arguments
        .contains(data.join("nats.conf").to_str()?)
        .then_some(pid)
}

pub fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    // It may have ended just now.
    let _ = kill_process(pid, signal);
}

pub fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

pub fn client() -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// Registers if need be, and logs in.
pub async fn log_in(kurz: &Kurz) -> String {
    let credentials = json!({ "username": "ada", "password": PASSWORD });
    let post = |path: &str| {
        client()
            .post(format!("{}{path}", kurz.url))
            .json(&credentials)
            .send()
    };
    post("/auth/users").await.unwrap();
    let tokens: Value = post("/auth/tokens").await.unwrap().json().await.unwrap();
    tokens["access_token"].as_str().unwrap().to_owned()
}

pub async fn make_link(kurz: &Kurz, token: &str, code: &str) {
    let link = json!({ "url": "https://www.rust-lang.org/", "code": code });
    let url = format!("{}/shortener/links", kurz.url);
    let made = client()
        .post(url)
        .bearer_auth(token)
        .json(&link)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
}

/// Follows a link. One that was made a moment ago may not have reached the redirector yet when
/// nats-server dies in between; what is answered 404 is not recorded.
pub async fn visit(kurz: &Kurz, code: &str) {
    let url = format!("{}/{code}", kurz.url);
    let status = eventually(|| async {
        let status = client().get(&url).send().await.unwrap().status();
        (status != StatusCode::NOT_FOUND).then_some(status)
    })
    .await;
    assert_eq!(status, StatusCode::FOUND);
}

/// Waits until the link has at least this many clicks; how many it has.
pub async fn counted(kurz: &Kurz, token: &str, code: &str, clicks: u64) -> u64 {
    let url = format!("{}/analytics/links/{code}", kurz.url);
    eventually(|| async {
        let answer = client().get(&url).bearer_auth(token).send().await.ok()?;
        let totals: Value = answer.json().await.ok()?;
        totals["clicks"]
            .as_u64()
            .filter(|counted| *counted >= clicks)
    })
    .await
}
