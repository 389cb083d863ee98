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

#[cfg(test)]
mod tests {
    use chassis::ready::Readiness;
    use chassis::shutdown::Shutdown;
    use chassis::sqlite::{Database, Profile};
    use chassis::testing::Folder;

    use super::*;
    use crate::domain::{LinkState, NewLink, RedirectStatus, Target};
    use crate::store::SCHEMA;

    async fn store(folder: &Folder) -> Store {
        let (shutdown, ready) = (Shutdown::new(), Readiness::default());
        let path = folder.path().join("links.db");
        let migrations = SCHEMA.migrations;
        let database = Database::open(&path, Profile::Local, migrations, &shutdown, &ready).await;
        Store::new(database.unwrap())
    }

    fn code(text: &str) -> Code {
        Code::parse(text).unwrap()
    }

    fn link(owner_id: Uuid) -> Link {
        let new = NewLink {
            url: Target::stored("https://example.com/".to_owned()),
            title: None,
            state: LinkState::Active,
            valid_from: None,
            valid_until: None,
            fallback_url: None,
            redirect_status: RedirectStatus::default(),
        };
        Link::new(
            Uuid::now_v7(),
            owner_id,
            code("x"),
            new,
            Timestamp::UNIX_EPOCH,
        )
        .unwrap()
    }

    #[tokio::test]
    async fn a_random_code_that_is_taken_is_drawn_again() {
        let folder = Folder::new();
        let store = store(&folder).await;
        let ann = Uuid::now_v7();
        store.add(link(ann), vec![code("one")]).await.unwrap();
        let draws = vec![code("one"), code("one"), code("two")];
        let (second, row) = store.add(link(ann), draws.clone()).await.unwrap();
        assert_eq!(second.code, code("two"));
        assert_eq!(store.newest_unsent().await.unwrap(), Some(row));
        let third = store.add(link(ann), draws).await;
        assert!(matches!(third, Err(Error::CodeTaken)), "{third:?}");
        assert_eq!(
            store.newest_unsent().await.unwrap(),
            Some(row),
            "nothing is told of it"
        );
    }

    #[tokio::test]
    async fn a_closed_account_gets_no_link_even_with_a_request_under_way() {
        let folder = Folder::new();
        let store = store(&folder).await;
        let ann = Uuid::now_v7();
        assert!(store.close_account(ann, 7).await.unwrap());
        let late = store.add(link(ann), vec![code("late")]).await;
        assert!(matches!(late, Err(Error::AccountClosed)), "{late:?}");
        store.note_erased(ann).await.unwrap();
        assert!(!store.close_account(ann, 8).await.unwrap(), "done once");
        assert_eq!(store.closed_accounts().await.unwrap(), [ann]);
    }

    #[tokio::test]
    async fn deleting_all_goes_on_behind_the_first_batch() {
        let folder = Folder::new();
        let store = store(&folder).await;
        let (ann, ben) = (Uuid::now_v7(), Uuid::now_v7());
        let many = BATCH as u64 * 2 + 1;
        let adding: Vec<_> = (0..many)
            .map(|number| {
                let store = store.clone();
                let codes = vec![code(&format!("a{number}"))];
                tokio::spawn(async move { store.add(link(ann), codes).await })
            })
            .collect();
        for added in adding {
            added.await.unwrap().unwrap();
        }
        store.add(link(ben), vec![code("b")]).await.unwrap();
        let (deleted, row) = store.delete_all(ann).await.unwrap();
        assert_eq!(deleted, many);
        assert_eq!(row, store.newest_unsent().await.unwrap());
        assert_eq!(store.count().await.unwrap(), 1);
        assert_eq!(store.count_if_all_sent().await.unwrap(), None);
    }
}
