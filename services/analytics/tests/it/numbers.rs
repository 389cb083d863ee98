//! Reads the database of a running analytics beside it.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

use std::path::{Path, PathBuf};

use analytics::parts::rows;
use chassis::testing::eventually;
use rusqlite::{Connection, OpenFlags, Params};
use uuid::Uuid;

/// What the database says.
pub struct Numbers(PathBuf);

impl Numbers {
    /// Of the database in this folder.
    pub fn of(folder: &Path) -> Self {
        Self(folder.join("clicks.db"))
    }

    /// One number; none while there is nothing.
    pub fn number(&self, sql: &str, params: impl Params) -> Option<i64> {
        self.connection()?
            .query_row(sql, params, |row| row.get(0))
            .ok()
            .flatten()
    }

    /// Rows of numbers.
    pub fn rows<const N: usize>(&self, sql: &str) -> Vec<[i64; N]> {
        let connection = self.connection().unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| {
            let mut numbers = [0; N];
            for (index, number) in numbers.iter_mut().enumerate() {
                *number = row.get(index)?;
            }
            Ok(numbers)
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// How many clicks of people a link has; none if the link is not known.
    pub fn humans(&self, link_id: Uuid) -> Option<i64> {
        self.number("SELECT humans FROM sums WHERE link_id = ?", [link_id])
    }

    /// The sequence of the last message that was applied.
    pub fn sequence(&self) -> i64 {
        self.number("SELECT sequence FROM position", [])
            .unwrap_or_default()
    }

    /// The gaps, first and last number.
    pub fn gaps(&self) -> Vec<[i64; 2]> {
        self.rows("SELECT first, last FROM gap ORDER BY first")
    }

    /// Waits until everything up to a sequence was applied.
    pub async fn applied(&self, sequence: u64) {
        let sequence = i64::try_from(sequence).unwrap();
        eventually(|| async { (self.sequence() >= sequence).then_some(()) }).await;
    }

    /// Waits until a link has so many clicks of people.
    #[track_caller]
    pub fn reach(&self, link_id: Uuid, humans: i64) -> impl Future<Output = ()> {
        eventually(move || async move { (self.humans(link_id) == Some(humans)).then_some(()) })
    }

    /// None until the database is made.
    fn connection(&self) -> Option<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.0, flags).ok()?;
        connection
            .busy_timeout(std::time::Duration::from_secs(10))
            .unwrap();
        // It ends with the connection: what was unpacked and what was not are of one state.
        connection.execute_batch("BEGIN").unwrap();
        rows::unpack(&connection).ok()?;
        Some(connection)
    }
}
