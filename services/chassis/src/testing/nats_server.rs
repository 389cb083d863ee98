use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Folder;

/// How long a nats-server may take to start.
const START: Duration = Duration::from_secs(20);

/// A nats-server process with JetStream, its store in a folder of its own. It ends with its value.
#[derive(Debug)]
pub struct NatsServer {
    folder: Folder,
    port: u16,
    child: Option<Child>,
    extra: String,
}

impl NatsServer {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts one whose configuration also holds `extra`.
    pub async fn start_with(extra: &str) -> Self {
        let mut server = Self {
            folder: Folder::new(),
            port: 0,
            child: None,
            extra: extra.to_owned(),
        };
        server.run().await;
        server
    }

    /// Its address, the same after a restart.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where its streams lie.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// What it has logged.
    ///
    /// # Panics
    /// If it has no log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("nats.log")).expect("it writes a log")
    }

    /// Ends it at once, as a kill -9 does.
    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let ended = tokio::task::spawn_blocking(move || {
                // It may have ended by itself.
                let _ = child.kill();
                child.wait()
            });
            ended
                .await
                .expect("waiting does not panic")
                .expect("the process was ours");
        }
    }

    /// Starts it again, on the same port and with the same store.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.run().await;
    }

    async fn run(&mut self) {
        let config = self.folder.path().join("nats.conf");
        // Port -1 is a free one; the server writes which into its ports file.
        let port = if self.port == 0 {
            "-1".to_owned()
        } else {
            self.port.to_string()
        };
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\" }}\n\
             ports_file_dir: \"{}\"\n{}\n",
            self.store().display(),
            self.folder.path().display(),
            self.extra,
        );
        std::fs::write(&config, text).expect("the folder is writable");
        let log = self.folder.path().join("nats.log");
        let child = Command::new(program())
            .arg("--config")
            .arg(&config)
            .arg("--log")
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("no nats-server ({error}): run `make tools`, or set KURZ_NATS_SERVER")
            });
        let ports = self
            .folder
            .path()
            .join(format!("{}_{}.ports", program_name(), child.id()));
        self.child = Some(child);
        let started = Instant::now();
        loop {
            if let Some(port) = read_port(&ports)
                && TcpStream::connect(("127.0.0.1", port)).is_ok()
            {
                self.port = port;
                return;
            }
            assert!(
                started.elapsed() < START,
                "nats-server did not start: {}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            tokio::time::sleep(super::POLL).await;
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
fn program() -> PathBuf {
    std::env::var_os("KURZ_NATS_SERVER").map_or_else(|| "nats-server".into(), PathBuf::from)
}

fn program_name() -> String {
    let program = program();
    program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The client port in the server's ports file, once it is written.
fn read_port(path: &Path) -> Option<u16> {
    let text = std::fs::read(path).ok()?;
    let ports: serde_json::Value = serde_json::from_slice(&text).ok()?;
    ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
}
