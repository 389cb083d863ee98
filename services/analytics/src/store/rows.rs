//! The counters as rows, for whoever compares them with SQL. Nothing in the service does: it reads
//! all of them.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::counters::{self, Key, Sort, Totals, kind};

const TABLES: &str = "
CREATE TEMP TABLE sums (link_id BLOB, humans, bots, others, visitors, first_click_at_ms,
    last_click_at_ms);
CREATE TEMP TABLE bucket (link_id BLOB, at, humans, bots, others, PRIMARY KEY (link_id, at));
CREATE TEMP TABLE breakdown (link_id BLOB, dimension, label, clicks);
CREATE TEMP TABLE visitor_day (link_id BLOB, day, visitors);
CREATE TEMP TABLE visitor (link_id BLOB, day, visitor);
";

/// Makes temporary tables on this connection: `sums` with a row for each link, also for one without
/// clicks, and `bucket`, `breakdown`, `visitor_day` and `visitor` with the rest.
pub fn unpack(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)?;
    let mut links = connection.prepare("SELECT link_id FROM link")?;
    let links: Vec<Uuid> = links
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for link_id in links {
        let mut counters = Vec::new();
        let (_, behind) = Key::all_of(kind::VISITOR);
        counters::each(connection, link_id, Key::FIRST, behind, |key, value| {
            counters.push((key, value));
        })?;
        let mut totals = Totals::default();
        for (key, value) in counters {
            totals.set(key, value);
            unpack_one(connection, link_id, key, value)?;
        }
        connection.execute(
            "INSERT INTO temp.sums VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                link_id,
                totals.humans,
                totals.bots,
                totals.others,
                totals.visitors,
                totals.first_click_at_ms,
                totals.last_click_at_ms
            ],
        )?;
    }
    Ok(())
}

fn unpack_one(
    connection: &Connection,
    link_id: Uuid,
    key: Key,
    value: u64,
) -> rusqlite::Result<()> {
    let insert = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(sql)?.execute(params).map(drop)
    };
    match key.kind() {
        kind::BUCKET => {
            let (at, sort) = key.bucket_at();
            let column = match sort {
                Some(Sort::Human) => "humans",
                Some(Sort::Bot) => "bots",
                Some(Sort::Other) | None => "others",
            };
            insert(
                "INSERT OR IGNORE INTO temp.bucket VALUES (?, ?, 0, 0, 0)",
                &[&link_id, &at],
            )?;
            let sql = format!("UPDATE temp.bucket SET {column} = ? WHERE link_id = ? AND at = ?");
            insert(&sql, &[&value, &link_id, &at])
        }
        kind::DAY => insert(
            "INSERT INTO temp.visitor_day VALUES (?, ?, ?)",
            &[&link_id, &key.number(), &value],
        ),
        kind::VISITOR => {
            let (day, visitor) = key.visitor_of();
            insert(
                "INSERT INTO temp.visitor VALUES (?, ?, ?)",
                &[&link_id, &day, &visitor.cast_signed()],
            )
        }
        of if (kind::BREAKDOWN + 1..=kind::BREAKDOWN + 7).contains(&of) => insert(
            "INSERT INTO temp.breakdown VALUES (?, ?, ?, ?)",
            &[&link_id, &(of - kind::BREAKDOWN), &key.number(), &value],
        ),
        _ => Ok(()),
    }
}
