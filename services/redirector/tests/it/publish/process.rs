//! A process that does nothing but record clicks, which can stop in order or be killed.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use chassis::client_address::TrustedProxies;
use chassis::clock::Clock;
use chassis::env::Env;
use chassis::service::{Context, Opened, Service};
use chassis::testing::{Running, eventually};
use events::{Click, Hints};
use redirector::recorder::{Durability, Receipt, Recorder, RecorderConfig, SyncPolicy};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use uuid::Uuid;

struct Probe;

struct ProbeConfig {
    recorder: RecorderConfig,
    opened: oneshot::Sender<Recorder>,
}

impl Service for Probe {
    const NAME: &'static str = "redirector";
    type Config = ProbeConfig;

    fn config(_: &mut Env) -> Option<ProbeConfig> {
        None
    }

    async fn open(config: ProbeConfig, context: Context) -> anyhow::Result<Opened> {
        let recorder = Recorder::open(config.recorder, &context).await?;
        assert!(
            config.opened.send(recorder).is_ok(),
            "the test waits for it"
        );
        Ok(Opened {
            router: Router::new(),
            admin: Router::new(),
        })
    }
}

pub struct Process {
    recorder: Recorder,
    running: Option<Running<Probe>>,
    runtime: Option<Runtime>,
    owner: Uuid,
}

impl Process {
    pub async fn start(config: RecorderConfig, nats_url: &str) -> Self {
        Self::try_start(config, nats_url)
            .await
            .expect("the recorder opens")
    }

    /// On a runtime of its own, so that it can die without the test.
    pub async fn try_start(config: RecorderConfig, nats_url: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("the test has what it needs");
        let (opened, recorder) = oneshot::channel();
        let config = ProbeConfig {
            recorder: config,
            opened,
        };
        let url = nats_url.to_owned();
        let start = async move {
            let proxies = TrustedProxies::default();
            Running::<Probe>::try_start(config, &url, Clock::system(), proxies).await
        };
        match runtime
            .spawn(start)
            .await
            .expect("the test has what it needs")
        {
            Ok(running) => {
                let recorder = recorder.await.expect("the test has what it needs");
                let (running, runtime) = (Some(running), Some(runtime));
                Ok(Self {
                    recorder,
                    running,
                    runtime,
                    owner: Uuid::now_v7(),
                })
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// Records clicks that can be told apart, each settled before the next.
    pub async fn record(&self, numbers: Range<u64>) {
        for number in numbers {
            self.record_of(self.owner, number).await;
        }
    }

    pub async fn record_of(&self, owner: Uuid, number: u64) {
        self.receipt(owner, number).settled().await;
    }

    /// Records one click, and gives what there is to wait for.
    pub fn receipt(&self, owner: Uuid, number: u64) -> Receipt {
        self.recorder.record(&click(owner, number))
    }

    /// Records one click, and does not wait for anything.
    pub fn record_in_passing(&self, number: u64) {
        drop(self.receipt(self.owner, number));
    }

    /// Waits until NATS is there.
    pub async fn connected(&self) {
        let running = self.running.as_ref().expect("it runs until it is stopped");
        eventually(|| async { running.bus().is_connected().then_some(()) }).await;
    }

    /// Stops in order.
    pub async fn stop(mut self) {
        let runtime = self.runtime.take().expect("it is stopped once");
        let running = self.running.take().expect("it is stopped once");
        runtime
            .spawn(running.stop())
            .await
            .expect("it stops in order");
        end(runtime).await;
    }

    /// Dies: every task ends wherever it is, and nothing is flushed.
    pub async fn kill(mut self) {
        let runtime = self.runtime.take().expect("it is stopped once");
        drop(self);
        end(runtime).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn end(runtime: Runtime) {
    let end = move || runtime.shutdown_timeout(Duration::from_secs(10));
    tokio::task::spawn_blocking(end)
        .await
        .expect("the test has what it needs");
}

pub fn spool_in(folder: &tempfile::TempDir) -> RecorderConfig {
    RecorderConfig {
        durability: Durability::Spool,
        folder: folder.path().join("spool"),
        bytes: 16 << 20,
        sync: SyncPolicy::None,
        partitions: 1,
    }
}

/// The files of all spools in the folder.
pub fn segments(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let path = folder.path().join("spool");
    let Ok(entries) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    let is_segment = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "clicks")
    };
    entries
        .map(|entry| entry.expect("the test has what it needs").path())
        .filter(|path| is_segment(path))
        .collect()
}

fn click(owner: Uuid, number: u64) -> Click {
    Click {
        link_id: Uuid::nil(),
        owner_id: owner,
        code: "abc".into(),
        at_ms: 0,
        hints: Hints::NONE,
        referrer: "example.org".into(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101".into(),
        language: "de".into(),
        country: None,
        visitor: number,
    }
}
