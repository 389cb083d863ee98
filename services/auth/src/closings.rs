//! Keeps the record of closed accounts and the stream that tells of them equal.
//!
//! The stream `ACCOUNTS` never forgets, and neither does the database; but either can be restored
//! from a backup, or be made anew. Whatever one of them has lost, it learns from the other at the
//! next start: a restored database must not revive an account that everybody else has erased, and
//! a new stream must not keep from a new consumer whom to forget.

use std::collections::HashSet;

use chassis::backoff::Backoff;
use chassis::bus::{Bus, Start};
use chassis::caller::Verifier;
use chassis::clock::Clock;
use chassis::service::Context;
use chassis::shutdown::Shutdown;
use events::AccountClosed;
use events::streams::ACCOUNTS;
use uuid::Uuid;

use crate::store::Store;

/// The worker that declares `ACCOUNTS` and compares it with the database.
pub struct Closings {
    bus: Bus,
    shutdown: Shutdown,
    clock: Clock,
    store: Store,
    verifier: Verifier,
}

impl Closings {
    /// A worker of this process.
    pub fn new(context: &Context, store: Store, verifier: Verifier) -> Self {
        Self {
            bus: context.bus.clone(),
            shutdown: context.shutdown.clone(),
            clock: context.clock.clone(),
            store,
            verifier,
        }
    }

    /// Ends when both are equal, or when the shutdown begins.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        loop {
            let outcome = tokio::select! {
                outcome = self.reconcile() => outcome,
                () = self.shutdown.cancelled() => return Ok(()),
            };
            let Err(error) = outcome else { return Ok(()) };
            tracing::warn!(
                error = format!("{error:#}"),
                "closed accounts not compared yet"
            );
            backoff.wait(&self.shutdown).await;
        }
    }

    async fn reconcile(&self) -> anyhow::Result<()> {
        self.bus.declare(&ACCOUNTS).await?;
        // Asked before the stream is read: whoever is closed in the meantime is not missing, only
        // not there yet.
        let announced = self.store.announced_closings().await?;
        let streamed = self.read_stream().await?;
        let revived = self
            .store
            .close_again(streamed.clone(), self.clock.now())
            .await?;
        for user_id in &revived {
            self.verifier.refuse_subject(*user_id);
        }
        if !revived.is_empty() {
            tracing::warn!(
                accounts = revived.len(),
                "accounts erased that a backup had revived"
            );
        }
        let missing: Vec<AccountClosed> = announced
            .into_iter()
            .filter(|closed| !streamed.contains(&closed.user_id))
            .collect();
        if !missing.is_empty() {
            tracing::warn!(
                accounts = missing.len(),
                "closed accounts told again to a new stream"
            );
            self.store.announce_again(missing).await?;
        }
        Ok(())
    }

    /// The ids that the stream holds now.
    async fn read_stream(&self) -> anyhow::Result<HashSet<Uuid>> {
        let mut follow = self.bus.follow(ACCOUNTS.name, None, Start::First).await?;
        let mut ids = HashSet::new();
        while let Some(message) = follow.next_of_backlog().await? {
            match AccountClosed::decode(&message.payload) {
                Ok(closed) => {
                    ids.insert(closed.user_id);
                }
                Err(error) => tracing::error!(
                    sequence = message.sequence,
                    error = error.to_string(),
                    "unreadable message in ACCOUNTS"
                ),
            }
        }
        Ok(ids)
    }
}
