use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chassis::ready::Readiness;
use chassis::shutdown::Shutdown;
use chassis::sqlite::{self, Database};

use super::base::Base;
use crate::accounts::erase_from;
use crate::state::AppState;
use crate::store::{self, accounts, take_over};

/// Rows of closed accounts that one transaction erases at most.
const ERASED_AT_ONCE: usize = 50_000;

/// The database that counts again: a file beside the one in use, gone when the rebuild ends.
pub(super) struct Fresh(Database);

impl Fresh {
    /// What the base holds, without the accounts that were closed since.
    pub(super) async fn open(state: &AppState, base: &Base) -> anyhow::Result<Self> {
        let path = path(&state.database);
        sqlite::remove(&path)?;
        if let Base::Backup { path: backup, .. } = base {
            tokio::fs::copy(backup, &path)
                .await
                .with_context(|| format!("can't copy the backup {}", backup.display()))?;
        }
        // When this file fails, the rebuild does; the service goes on.
        let (alone, ready) = (Shutdown::new(), Readiness::default());
        let profile = state.database.profile();
        let opened = Database::open(&path, profile, store::MIGRATIONS, &alone, &ready).await;
        if opened.is_err() {
            sqlite::remove(&path)?;
        }
        let fresh = Self(opened?);
        store::prepare_writer(&fresh.0).await?;
        if let Err(error) = fresh.inherit(&state.database).await {
            fresh.discard().await;
            return Err(error);
        }
        Ok(fresh)
    }

    pub(super) fn database(&self) -> &Database {
        &self.0
    }

    /// Closes and deletes it.
    pub(super) async fn discard(self) {
        self.0.close().await;
        if let Err(error) = sqlite::remove(self.0.path()) {
            let path = self.0.path().display();
            tracing::warn!(%path, %error, "the file of a rebuild can't be deleted");
        }
    }

    /// Leaves out the accounts that are closed by now.
    pub(super) async fn inherit(&self, live: &Database) -> anyhow::Result<()> {
        let fresh = &self.0;
        let inherited =
            fresh.write_beside(live, |tx| Ok::<_, store::Error>(take_over::inherit(tx)?));
        inherited.await?;
        let closed = fresh.read(|tx| Ok::<_, store::Error>(accounts::unerased(tx)?));
        for user_id in closed.await? {
            erase_from(fresh, user_id, ERASED_AT_ONCE).await?;
        }
        Ok(())
    }
}

/// Deletes what a rebuild left that died with its process.
pub fn clean_up(database: &Database) -> std::io::Result<()> {
    sqlite::remove(&path(database))
}

fn path(database: &Database) -> PathBuf {
    let mut name = database.path().as_os_str().to_owned();
    name.push(".rebuild");
    Path::new(&name).to_owned()
}
