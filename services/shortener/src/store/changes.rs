//! What callers change. Each change and its outbox row are one transaction.

use jiff::Timestamp;
use uuid::Uuid;

use super::{BATCH, OutboxRow, Store, accounts, links};
use crate::domain::{Code, Link, LinkChange};
use crate::error::Error;

impl Store {
    /// Adds a link under the first of `codes` that is free: one that the user chose, or some
    /// random ones.
    pub async fn add(&self, link: Link, codes: Vec<Code>) -> Result<(Link, OutboxRow), Error> {
        self.database
            .write(move |tx| {
                // Seen here, in the transaction, since the account may be closed meanwhile.
                if accounts::is_closed(tx, link.owner_id)? {
                    return Err(Error::AccountClosed);
                }
                for code in codes {
                    let link = Link {
                        code,
                        ..link.clone()
                    };
                    if links::insert(tx, &link)? {
                        let row = links::publish(tx, &link)?;
                        return Ok((link, row));
                    }
                }
                Err(Error::CodeTaken)
            })
            .await
    }

    /// Changes a link of the caller. No outbox row if nothing is different afterwards.
    pub async fn change(
        &self,
        owner_id: Uuid,
        code: Code,
        change: LinkChange,
        now: Timestamp,
    ) -> Result<(Link, Option<OutboxRow>), Error> {
        self.database
            .write(move |tx| {
                let before = links::find_own(tx, owner_id, &code)?.ok_or(Error::NoSuchLink)?;
                let after = before.changed(change, now)?;
                if after == before {
                    return Ok((after, None));
                }
                links::update(tx, &after)?;
                let row = links::publish(tx, &after)?;
                Ok((after, Some(row)))
            })
            .await
    }

    /// Deletes a link of the caller.
    pub async fn delete(&self, owner_id: Uuid, code: Code) -> Result<OutboxRow, Error> {
        self.database
            .write(move |tx| {
                links::find_own(tx, owner_id, &code)?.ok_or(Error::NoSuchLink)?;
                Ok(links::delete(tx, code.as_str())?)
            })
            .await
    }

    /// Deletes all links of an account, batch by batch: how many, and the last outbox row.
    pub async fn delete_all(&self, owner_id: Uuid) -> Result<(u64, Option<OutboxRow>), Error> {
        let mut total = (0, None);
        loop {
            let (deleted, row) = self
                .database
                .write(move |tx| Ok::<_, Error>(links::delete_some(tx, owner_id, BATCH)?))
                .await?;
            if deleted == 0 {
                return Ok(total);
            }
            total = (total.0 + deleted, row);
        }
    }
}
