//! Which part of the accounts this database has.

use rusqlite::{Connection, params};

/// Makes this the database of the partition `number` of so many, if it is new. Says whose it is.
pub fn claim(tx: &Connection, number: u32, of: u32) -> rusqlite::Result<(u32, u32)> {
    tx.execute(
        "UPDATE partition SET number = ?1, of = ?2
         WHERE NOT EXISTS (SELECT 1 FROM position) AND NOT EXISTS (SELECT 1 FROM spool)
             AND NOT EXISTS (SELECT 1 FROM link) AND NOT EXISTS (SELECT 1 FROM feed_owner)",
        params![number, of],
    )?;
    tx.query_row("SELECT number, of FROM partition", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MIGRATIONS, links};
    use uuid::Uuid;

    #[test]
    fn whose_it_is_stands_once_it_has_something() {
        let database = Connection::open_in_memory().unwrap();
        for migration in MIGRATIONS {
            migration.run(&database).unwrap();
        }
        assert_eq!(claim(&database, 0, 1).unwrap(), (0, 1));
        // Nothing was counted yet.
        assert_eq!(claim(&database, 2, 3).unwrap(), (2, 3));
        links::put(&database, Uuid::nil(), Uuid::nil(), "abc", 1).unwrap();
        assert_eq!(claim(&database, 2, 3).unwrap(), (2, 3));
        assert_eq!(claim(&database, 1, 3).unwrap(), (2, 3));
        assert_eq!(claim(&database, 0, 1).unwrap(), (2, 3));
    }
}
