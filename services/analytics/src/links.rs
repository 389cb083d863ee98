//! Follows the link table, so that a link has statistics (all zero) before its first click.

use std::time::Duration;

use anyhow::Context as _;
use chassis::backoff::Backoff;
use chassis::bus::{Start, StoredMessage};
use events::{LinkRecord, Partition, streams, subjects};
use tokio::time::{Instant, timeout_at};

use crate::state::AppState;
use crate::store::{self, accounts, links};

/// Changes that one transaction takes over at most.
const SET: usize = 2_000;

/// For how long changes are gathered: each transaction waits for the disk.
const GATHER: Duration = Duration::from_millis(50);

/// What the link table says.
enum Change {
    Put(LinkRecord),
    Delete(String),
}

/// Follows until the shutdown. Starts with the whole table each time: what is known already
/// changes nothing, and a table that was restored is taken over as it is.
pub async fn run(state: AppState) -> anyhow::Result<()> {
    let mut backoff = Backoff::default();
    while !state.shutdown.is_cancelled() {
        let ended = tokio::select! {
            () = state.shutdown.cancelled() => return Ok(()),
            ended = session(&state, &mut backoff) => ended,
        };
        if let Err(error) = ended {
            tracing::info!(
                error = format!("{error:#}"),
                "the link table can't be followed yet"
            );
        }
        backoff.wait(&state.shutdown).await;
    }
    Ok(())
}

async fn session(state: &AppState, backoff: &mut Backoff) -> anyhow::Result<()> {
    let filter = Some(subjects::LINKS_ALL);
    let mut follow = state
        .bus
        .follow(streams::LINKS.name, filter, Start::LastPerSubject)
        .await?;
    while let Some(message) = follow.next().await {
        let mut changes: Vec<Change> = change(&message?).into_iter().collect();
        let until = Instant::now() + GATHER;
        while changes.len() < SET
            && let Ok(Some(message)) = timeout_at(until, follow.next()).await
        {
            changes.extend(change(&message?));
        }
        let partition = state.partition;
        let write = state.database.write(move |tx| {
            for change in &changes {
                take_over(tx, change, partition)?;
            }
            Ok::<_, store::Error>(())
        });
        write.await.context("the links can't be stored")?;
        backoff.reset();
    }
    Ok(())
}

fn take_over(
    tx: &rusqlite::Connection,
    change: &Change,
    partition: Partition,
) -> Result<(), store::Error> {
    match change {
        Change::Delete(code) => links::delete(tx, code)?,
        // Whoever had the code here has it no more, and its deletion may have been passed over.
        Change::Put(link) if !partition.holds(link.owner_id) => links::delete(tx, &link.code)?,
        Change::Put(link) if accounts::is_closed(tx, link.owner_id)? => {}
        Change::Put(link) => {
            links::put(tx, link.link_id, link.owner_id, &link.code, link.version)?;
        }
    }
    Ok(())
}

fn change(message: &StoredMessage) -> Option<Change> {
    if message.headers.get("KV-Operation").is_some() {
        return subjects::link_code(&message.subject).map(|code| Change::Delete(code.to_owned()));
    }
    match LinkRecord::decode(&message.payload) {
        Ok(link) => Some(Change::Put(link)),
        Err(error) => {
            // Its owner sees it with its first click; the redirector says what is wrong with it.
            tracing::error!(subject = message.subject, %error, "unreadable link record");
            None
        }
    }
}
