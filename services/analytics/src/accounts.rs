//! Follows the closed accounts: their statistics are erased, their tokens refused, their ids
//! remembered for ever, so that late clicks of theirs are dropped.

use anyhow::Context as _;
use chassis::backoff::Backoff;
use chassis::bus::{Start, StoredMessage};
use chassis::sqlite::Database;
use events::{AccountClosed, streams, subjects};
use futures_util::FutureExt as _;
use rusqlite::Connection;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::feed;
use crate::state::AppState;
use crate::store::{self, accounts, counters};

/// Closed accounts that one transaction remembers at most.
const SET: usize = 1_000;

/// Rows that one transaction erases at most, so that clicks are counted in between.
const ERASED_AT_ONCE: usize = 5_000;

/// Ranges of links whose waiting clicks one transaction brings to their pages at most.
const SETTLED_AT_ONCE: usize = 8;

/// Refuses the tokens of accounts that are known to be closed. For the start, before any request.
pub async fn refuse_known(state: &AppState) -> anyhow::Result<()> {
    let closed = state
        .database
        .read(|tx| Ok::<_, store::Error>(accounts::all(tx)?))
        .await?;
    for user_id in closed {
        state.verifier.refuse_subject(user_id);
    }
    Ok(())
}

/// Follows and erases until the shutdown. Two workers: an erasure waits for the feed, and while that
/// does not answer the next account must be refused all the same.
pub async fn run(state: AppState) -> anyhow::Result<()> {
    let news = Notify::new();
    tokio::join!(follow(&state, &news), erase_all(&state, &news));
    Ok(())
}

/// Follows until the shutdown. Starts with the first closed account each time, so that a database
/// restored from a backup learns what it has forgotten.
async fn follow(state: &AppState, news: &Notify) {
    let mut backoff = Backoff::default();
    while !state.shutdown.is_cancelled() {
        let ended = tokio::select! {
            () = state.shutdown.cancelled() => return,
            ended = session(state, news, &mut backoff) => ended,
        };
        if let Err(error) = ended {
            let error = format!("{error:#}");
            tracing::info!(error, "the closed accounts can't be followed yet");
        }
        backoff.wait(&state.shutdown).await;
    }
}

async fn session(state: &AppState, news: &Notify, backoff: &mut Backoff) -> anyhow::Result<()> {
    let filter = Some(subjects::ACCOUNTS_CLOSED);
    let mut follow = state
        .bus
        .follow(streams::ACCOUNTS.name, filter, Start::First)
        .await?;
    while let Some(message) = follow.next().await {
        let mut closed: Vec<AccountClosed> = read(&message?).into_iter().collect();
        while closed.len() < SET
            && let Some(Some(message)) = follow.next().now_or_never()
        {
            closed.extend(read(&message?));
        }
        for account in &closed {
            state.verifier.refuse_subject(account.user_id);
            state.streams.close(account.user_id);
        }
        let write = state.database.write(move |tx| {
            let mut is_news = false;
            for account in &closed {
                is_news |= accounts::close(tx, account.user_id, account.at_ms)?;
            }
            Ok::<_, store::Error>(is_news)
        });
        if write.await.context("the closed accounts can't be stored")? {
            news.notify_one();
        }
        backoff.reset();
    }
    Ok(())
}

/// Erases until the shutdown: at once what an earlier run began, and then whenever there is news.
async fn erase_all(state: &AppState, news: &Notify) {
    let mut backoff = Backoff::default();
    while !state.shutdown.is_cancelled() {
        let erased = tokio::select! {
            () = state.shutdown.cancelled() => return,
            erased = erase(state) => erased,
        };
        match erased {
            Ok(()) => {
                backoff.reset();
                tokio::select! {
                    () = state.shutdown.cancelled() => return,
                    () = news.notified() => {}
                }
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::info!(error, "a closed account can't be erased yet");
                backoff.wait(&state.shutdown).await;
            }
        }
    }
}

/// What a message says. Its subject names the account too, and that is enough.
fn read(message: &StoredMessage) -> Option<AccountClosed> {
    AccountClosed::decode(&message.payload).ok().or_else(|| {
        let user_id = message.subject.rsplit('.').next()?.parse().ok()?;
        let at_ms = i64::try_from(message.stored_at_ns / 1_000_000).ok()?;
        Some(AccountClosed { user_id, at_ms })
    })
}

/// Erases whatever closed accounts left.
async fn erase(state: &AppState) -> anyhow::Result<()> {
    let unerased = state
        .database
        .read(|tx| Ok::<_, store::Error>(accounts::unerased(tx)?))
        .await?;
    for user_id in unerased {
        // First: others may be reading it. The other streams forget by themselves.
        feed::purge(state, user_id).await?;
        erase_from(&state.database, user_id, ERASED_AT_ONCE)
            .await
            .context("a closed account can't be erased")?;
        state
            .database
            .write(move |tx| Ok::<_, store::Error>(accounts::mark_erased(tx, user_id)?))
            .await?;
        tracing::info!(%user_id, "closed account erased");
    }
    Ok(())
}

/// Erases what a closed account left in a database, so many rows in a transaction.
pub async fn erase_from(
    database: &Database,
    user_id: Uuid,
    at_once: usize,
) -> Result<(), store::Error> {
    // Clicks of several accounts wait in one row; on the pages everybody's are apart. Of a closed
    // account no more come to wait.
    let settle = move |tx: &Connection| {
        let more = counters::settle_account(tx, user_id, SETTLED_AT_ONCE)?;
        Ok::<_, store::Error>(more)
    };
    while database.write_alone(settle).await? {}
    let erase = move |tx: &Connection| {
        let more = accounts::erase_some(tx, user_id, at_once)?;
        Ok::<_, store::Error>(more)
    };
    while database.write(erase).await? {}
    Ok(())
}
