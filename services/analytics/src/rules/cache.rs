//! Parsed user agents, so that each one is parsed once.

use std::sync::Arc;

use quick_cache::sync;

use super::agent::{Agent, Parser};

/// Different user agents kept. A busy site sees some thousands in a day; about 2 MB.
const CAPACITY: usize = 8_192;

/// The parser, and what it found lately. Seldom seen user agents make room for frequent ones.
pub(super) struct Cache {
    parser: Parser,
    agents: sync::Cache<String, Arc<Agent>>,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self {
            parser: Parser::new(),
            agents: sync::Cache::new(CAPACITY),
        }
    }

    pub(super) fn agent(&self, text: &str) -> Arc<Agent> {
        if let Some(agent) = self.agents.get(text) {
            return agent;
        }
        let agent = Arc::new(self.parser.parse(text));
        self.agents.insert(text.to_owned(), agent.clone());
        agent
    }
}
