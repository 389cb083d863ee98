//! Hosts, countries and names, each stored once.

use std::sync::Arc;

use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension as _};

use crate::rules::Agent;

/// The numbers of texts, each asked for once in a transaction.
pub struct Labels<'a> {
    tx: &'a Connection,
    known: HashMap<Box<str>, i64>,
    /// Of browser, system and device, by the agent's place in memory, which does not change while
    /// it is here.
    agents: HashMap<*const Agent, (Arc<Agent>, [i64; 3])>,
}

impl<'a> Labels<'a> {
    /// None is known yet.
    pub fn new(tx: &'a Connection) -> Self {
        Self {
            tx,
            known: HashMap::new(),
            agents: HashMap::new(),
        }
    }

    /// The numbers of an agent's browser, system and device.
    pub fn of_agent(&mut self, agent: &Arc<Agent>) -> rusqlite::Result<[i64; 3]> {
        let place = Arc::as_ptr(agent);
        if let Some((_, ids)) = self.agents.get(&place) {
            return Ok(*ids);
        }
        let ids = [
            self.id(&agent.browser)?,
            self.id(&agent.os)?,
            self.id(agent.device)?,
        ];
        self.agents.insert(place, (agent.clone(), ids));
        Ok(ids)
    }

    /// The number of a text; an unknown one gets one.
    pub fn id(&mut self, text: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.known.get(text) {
            return Ok(*id);
        }
        let found = self
            .tx
            .prepare_cached("SELECT id FROM label WHERE text = ?")?
            .query_row([text], |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => self
                .tx
                .prepare_cached("INSERT INTO label (text) VALUES (?) RETURNING id")?
                .query_row([text], |row| row.get(0))?,
        };
        self.known.insert(text.into(), id);
        Ok(id)
    }
}

/// The text with this number; none if there is none.
pub fn text(connection: &Connection, id: i64) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT text FROM label WHERE id = ?")?
        .query_row([id], |row| row.get(0))
        .optional()
}
