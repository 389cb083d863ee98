//! A nats-server, a folder, and analytics on both: the bench on which the ingest is tried.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use std::path::Path;

use analytics::{App, Config, Retention};
use chassis::clock::Clock;
use chassis::database_file::DatabaseFile;
use chassis::sqlite::Profile;
use chassis::testing::{Folder, NatsServer, Running};

use crate::feeder::Feeder;
use crate::numbers::Numbers;

/// Everything that outlives a restart of analytics.
pub struct Bench {
    pub nats: NatsServer,
    pub folder: Folder,
    pub clock: Clock,
}

impl Bench {
    /// A new one, by the system's clock.
    pub async fn new() -> Self {
        Self {
            nats: NatsServer::start().await,
            folder: Folder::new(),
            clock: Clock::system(),
        }
    }

    /// Starts analytics.
    pub async fn start(&self) -> Running<App> {
        Running::start(self.config(), &self.nats, self.clock.clone()).await
    }

    /// The settings of analytics.
    pub fn config(&self) -> Config {
        let database = self.folder.path().join("clicks.db");
        Config {
            database: DatabaseFile::new(database, Profile::Local),
            jwks_url: "http://127.0.0.1:1/jwks.json".parse().unwrap(),
            retention: Retention::default(),
            partition: events::Partition::WHOLE,
            others: None,
        }
    }

    /// Somebody who publishes clicks.
    pub async fn feeder(&self) -> Feeder {
        Feeder::new(&self.nats.url()).await
    }

    /// What the database says.
    pub fn numbers(&self) -> Numbers {
        Numbers::of(self.folder.path())
    }
}

/// Copies a folder and what is in it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
