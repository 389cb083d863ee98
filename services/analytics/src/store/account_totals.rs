//! The sums over all links of an account, so that nobody adds up a million links.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::counters::Totals;

/// What is to be added, by account.
#[derive(Default)]
pub struct Sums(BTreeMap<Uuid, Totals>);

impl Sums {
    /// Adds what came to one of the account's links.
    pub fn add(&mut self, owner_id: Uuid, totals: &Totals) {
        self.0.entry(owner_id).or_default().add(totals);
    }

    /// Adds all of it to what is stored.
    pub fn save(&self, tx: &Connection) -> rusqlite::Result<()> {
        for (owner_id, more) in &self.0 {
            let mut totals = get(tx, *owner_id)?;
            totals.add(more);
            put(tx, *owner_id, &totals)?;
        }
        Ok(())
    }
}

/// The sums of an account.
pub fn get(connection: &Connection, owner_id: Uuid) -> rusqlite::Result<Totals> {
    let totals = connection
        .prepare_cached(
            "SELECT humans, bots, others, visitors, first_click_at_ms, last_click_at_ms
             FROM account WHERE owner_id = ?1",
        )?
        .query_row([owner_id], |row| {
            Ok(Totals {
                humans: row.get(0)?,
                bots: row.get(1)?,
                others: row.get(2)?,
                visitors: row.get(3)?,
                first_click_at_ms: row.get(4)?,
                last_click_at_ms: row.get(5)?,
            })
        })
        .optional()?;
    Ok(totals.unwrap_or_default())
}

fn put(tx: &Connection, owner_id: Uuid, totals: &Totals) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO account (owner_id, humans, bots, others, visitors,
             first_click_at_ms, last_click_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        owner_id,
        totals.humans,
        totals.bots,
        totals.others,
        totals.visitors,
        totals.first_click_at_ms,
        totals.last_click_at_ms,
    ])?;
    Ok(())
}
