//! Which user agents are no people.

use regex_filtered::{Builder, Regexes};

use super::agent::Class;

/// One crawler a line, kind and pattern; `data/refresh.py` makes it anew.
const LIST: &str = include_str!("../../data/crawlers.tsv");

/// The compiled list of crawlers.
pub(super) struct Bots {
    patterns: Regexes,
    /// Whether the pattern at the same index is of a service that makes previews.
    makes_previews: Vec<bool>,
}

impl Bots {
    pub(super) fn new() -> Self {
        let mut builder = Builder::new_atom_len(3);
        let mut makes_previews = Vec::new();
        let entries = LIST.lines().filter(|line| !line.starts_with('#'));
        for (kind, pattern) in entries.filter_map(|line| line.split_once('\t')) {
            builder = builder.push(pattern).expect("the patterns are tested");
            makes_previews.push(kind == "preview");
        }
        let patterns = builder.build().expect("the patterns are tested");
        Self {
            patterns,
            makes_previews,
        }
    }

    pub(super) fn class(&self, text: &str) -> Class {
        let mut matching = self.patterns.matching(text).peekable();
        if matching.peek().is_some() {
            let makes_previews = matching.any(|(index, _)| self.makes_previews[index]);
            return if makes_previews {
                Class::Preview
            } else {
                Class::Bot
            };
        }
        // Every browser of the last thirty years begins so; libraries and scripts do not, and a
        // request without a user agent comes from no browser.
        if text.starts_with("Mozilla/") || text.starts_with("Opera/") {
            Class::Browser
        } else {
            Class::Bot
        }
    }
}
