//! What counts, and as what: policy of analytics, not of the redirector.

mod agent;
mod bots;
mod cache;

use std::fmt;
use std::sync::Arc;

use events::{Click, Hints};

pub use agent::{Agent, Class};
use cache::Cache;

/// What kind of visit a click is. Only humans and bots are clicks; the others are shown apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A person in a browser or an app.
    Human,
    /// A crawler, a library or a script, by its user agent.
    Bot,
    /// A messenger or social network that fetches a link to show a preview of it.
    Preview,
    /// A browser that fetches ahead of a person who may never come.
    Prefetch,
    /// A HEAD request: somebody asks where the link leads, and does not go there.
    Head,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Human,
        Self::Bot,
        Self::Preview,
        Self::Prefetch,
        Self::Head,
    ];

    /// The method says most, then who asks, then what for: a bot's HEAD is a HEAD, and a messenger's
    /// prefetch is a preview.
    pub fn of(hints: Hints, class: Class) -> Self {
        if hints.contains(Hints::HEAD) {
            return Self::Head;
        }
        match class {
            Class::Preview => Self::Preview,
            _ if hints.contains(Hints::PREFETCH) => Self::Prefetch,
            Class::Bot => Self::Bot,
            Class::Browser => Self::Human,
        }
    }

    /// As the API and the table `label` spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Bot => "bot",
            Self::Preview => "preview",
            Self::Prefetch => "prefetch",
            Self::Head => "head",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Classifies clicks; parsed user agents are cached. Cheap to clone, all clones share the cache.
#[derive(Clone)]
pub struct Rules {
    cache: Arc<Cache>,
}

impl Rules {
    /// Compiles the lists of browsers, systems and bots (some tens of milliseconds, once).
    pub fn new() -> Self {
        Self {
            cache: Arc::new(Cache::new()),
        }
    }

    /// The kind of a click, and what its user agent says.
    pub fn classify(&self, click: &Click) -> (Kind, Arc<Agent>) {
        let agent = self.agent(&click.user_agent);
        (Kind::of(click.hints, agent.class), agent)
    }

    /// What a user agent says.
    pub fn agent(&self, user_agent: &str) -> Arc<Agent> {
        self.cache.agent(user_agent)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new()
    }
}
