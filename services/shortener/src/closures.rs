//! Closed accounts: their links disappear, their tokens are refused, and their ids are remembered.

use chassis::backoff::Backoff;
use chassis::bus::{Bus, Start, StoredMessage};
use chassis::caller::Verifier;
use chassis::clock::Clock;
use chassis::outbox::Relay;
use chassis::shutdown::Shutdown;
use events::streams::ACCOUNTS;
use events::{AccountClosed, subjects};
use uuid::Uuid;

use crate::measures;
use crate::store::Store;

/// Follows the closed accounts.
#[derive(Clone)]
pub struct Closures {
    /// Where the news comes from.
    pub bus: Bus,
    /// Where their links are.
    pub store: Store,
    /// Tells redirectors.
    pub relay: Relay,
    /// Refuses their tokens.
    pub verifier: Verifier,
    /// For a message that does not say when.
    pub clock: Clock,
}

impl Closures {
    /// The worker. It reads all ids anew at each start and after each fault: they are few, what
    /// is done with them is done once, and a restored database gets those that it misses.
    pub async fn follow(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        while !shutdown.is_cancelled() {
            let followed = tokio::select! {
                result = self.follow_once(&mut backoff) => result,
                () = shutdown.cancelled() => return Ok(()),
            };
            if let Err(error) = followed {
                // At first auth may not have made the stream yet, so this is no fault.
                let error = format!("{error:#}");
                tracing::info!(error, "closed accounts not followed: trying again");
            }
            backoff.wait(&shutdown).await;
        }
        Ok(())
    }

    async fn follow_once(&self, backoff: &mut Backoff) -> anyhow::Result<()> {
        let filter = Some(subjects::ACCOUNTS_CLOSED);
        let mut follow = self
            .bus
            .follow(ACCOUNTS.name, filter, Start::LastPerSubject)
            .await?;
        while let Some(message) = follow.next().await {
            let message = message?;
            backoff.reset();
            if let Some(closed) = self.read(&message) {
                self.close(closed).await?;
            } else {
                let StoredMessage {
                    subject, sequence, ..
                } = message;
                tracing::error!(subject, sequence, "a closed account without an id");
            }
        }
        Ok(())
    }

    /// The account that a message names. The subject says it too: an unreadable payload must not
    /// keep an account's links alive.
    fn read(&self, message: &StoredMessage) -> Option<AccountClosed> {
        AccountClosed::decode(&message.payload).ok().or_else(|| {
            let user_id: Uuid = message.subject.rsplit('.').next()?.parse().ok()?;
            Some(AccountClosed {
                user_id,
                at_ms: self.clock.now_ms(),
            })
        })
    }

    async fn close(&self, closed: AccountClosed) -> anyhow::Result<()> {
        let user_id = closed.user_id;
        self.verifier.refuse_subject(user_id);
        if !self.store.close_account(user_id, closed.at_ms).await? {
            return Ok(());
        }
        let (deleted, _) = self.store.delete_all(user_id).await?;
        self.store.note_erased(user_id).await?;
        self.relay.wake();
        measures::links_deleted(deleted);
        tracing::info!(%user_id, deleted, "account closed: its links are gone");
        Ok(())
    }
}
