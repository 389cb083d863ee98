//! What stands in query strings.

use chassis::problem::Problem;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::bodies::Faults;
use crate::domain::{Cursor, Sort};
use crate::store::Search;

/// Links on a page when nothing is asked for: a screenful.
const DEFAULT_LIMIT: usize = 20;

/// Links on a page at most: each can be 16 KiB, so a page stays below 2 MiB.
const MAX_LIMIT: usize = 100;

/// Longest search text in characters; a search reads all links of the caller.
const MAX_SEARCH: usize = 200;

/// Which links to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only links whose code, URL or title contains this text, in any case.
    #[param(max_length = 200, example = "example.com")]
    search: Option<String>,
    /// The order: `created_at`, `updated_at` or `code`, with `-` before it for the greatest
    /// first. Newest first if it is missing.
    #[param(
        pattern = "^-?(created_at|updated_at|code)$",
        default = "-created_at",
        example = "-created_at"
    )]
    sort: Option<String>,
    /// How many links at most.
    #[param(minimum = 1, maximum = 100, default = 20, example = 20)]
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same `sort` and `search`.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

impl ListQuery {
    /// The search of a caller.
    pub fn parse(self, owner_id: Uuid) -> Result<Search, Problem> {
        let mut faults = Faults::default();
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            faults.note("limit", "must be 1 to 100");
        }
        let text = self.search.filter(|text| !text.is_empty());
        if text
            .as_ref()
            .is_some_and(|text| text.chars().count() > MAX_SEARCH)
        {
            faults.note("search", "must be at most 200 characters long");
        }
        let sort = self
            .sort
            .as_deref()
            .map_or(Ok(Sort::default()), Sort::parse);
        let sort = faults.check("sort", sort).unwrap_or_default();
        let after = self
            .cursor
            .map(|cursor| Cursor::decode(&cursor, sort))
            .transpose();
        let after = faults.check("cursor", after).flatten();
        faults.finish()?;
        Ok(Search {
            owner_id,
            text,
            sort,
            after,
            limit,
        })
    }
}

/// Whether really all links are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteAllQuery {
    /// Must be `true`: a guard against a path whose code got lost.
    #[param(inline, required = true, nullable = false, example = "true")]
    all: Option<Yes>,
}

/// The only answer that counts.
#[derive(Debug, Deserialize, ToSchema)]
enum Yes {
    #[serde(rename = "true")]
    True,
}

impl DeleteAllQuery {
    /// An error unless all links are meant.
    pub fn check(&self) -> Result<(), Problem> {
        if let Some(Yes::True) = self.all {
            return Ok(());
        }
        Err(Problem::unprocessable(
            "all",
            "must be true, to delete all of your links",
        ))
    }
}
