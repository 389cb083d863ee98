//! What a set of clicks adds up to, before any of it touches the database.

use std::collections::HashMap;

use uuid::Uuid;

use super::set::Counted;
use crate::rules::Kind;

/// Milliseconds in a bucket: a quarter of an hour, because every time zone's hours begin on one.
const BUCKET_MS: i64 = 15 * 60 * 1_000;
/// Milliseconds in a UTC day, the time for which a visitor's hash holds.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// How many visits of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Clicks of people.
    pub humans: i64,
    /// Clicks of bots.
    pub bots: i64,
    /// HEAD requests, previews and prefetches, which are no clicks.
    pub others: i64,
}

impl Counts {
    fn add(&mut self, kind: Kind) {
        match kind {
            Kind::Human => self.humans += 1,
            Kind::Bot => self.bots += 1,
            Kind::Preview | Kind::Prefetch | Kind::Head => self.others += 1,
        }
    }
}

/// The totals of one link.
pub struct LinkSum<'a> {
    /// The link.
    pub link_id: Uuid,
    /// Its owner.
    pub owner_id: Uuid,
    /// Its code.
    pub code: &'a str,
    /// How many visits.
    pub counts: Counts,
    /// The earliest of the clicks; none if there were only others.
    pub first_click_at_ms: Option<i64>,
    /// The latest of the clicks.
    pub last_click_at_ms: Option<i64>,
}

/// One visit in one dimension.
pub struct Part {
    /// Index of the link.
    pub link: usize,
    /// As the table `breakdown` numbers them.
    pub dimension: u8,
    /// Index of the label.
    pub label: usize,
}

/// One human visit.
pub struct Visit {
    /// Index of the link.
    pub link: usize,
    /// Days since 1970 UTC.
    pub day: i64,
    /// The visitor's hash, its bits as a signed number.
    pub visitor: i64,
}

/// The sums of a set of clicks. Links and labels are named by their index.
#[derive(Default)]
pub struct Sums<'a> {
    links: Vec<LinkSum<'a>>,
    link_index: HashMap<Uuid, usize>,
    labels: Vec<&'a str>,
    label_index: HashMap<&'a str, usize>,
    buckets: HashMap<(usize, i64), Counts>,
    parts: Vec<Part>,
    visits: Vec<Visit>,
}

impl<'a> Sums<'a> {
    /// Adds one click. Only people are broken down by what their browser says; the kind of all.
    pub fn add(&mut self, counted: &'a Counted) {
        let Counted { click, kind, agent } = counted;
        let at_ms = click.at_ms;
        let link = self.link(counted);
        let sum = &mut self.links[link];
        sum.counts.add(*kind);
        if matches!(kind, Kind::Human | Kind::Bot) {
            sum.first_click_at_ms = Some(sum.first_click_at_ms.map_or(at_ms, |at| at.min(at_ms)));
            sum.last_click_at_ms = Some(sum.last_click_at_ms.map_or(at_ms, |at| at.max(at_ms)));
        }
        self.buckets
            .entry((link, at_ms.div_euclid(BUCKET_MS)))
            .or_default()
            .add(*kind);
        self.part(link, 7, kind.as_str());
        if *kind == Kind::Human {
            self.part(link, 1, &click.referrer);
            self.part(link, 2, click.country.as_deref().unwrap_or_default());
            self.part(link, 3, &agent.browser);
            self.part(link, 4, &agent.os);
            self.part(link, 5, agent.device);
            self.part(link, 6, &click.language);
            let day = at_ms.div_euclid(DAY_MS);
            self.visits.push(Visit {
                link,
                day,
                visitor: click.visitor.cast_signed(),
            });
        }
    }

    /// The totals of each link.
    pub fn links(&self) -> &[LinkSum<'a>] {
        &self.links
    }

    /// Hosts, countries and names.
    pub fn labels(&self) -> &[&'a str] {
        &self.labels
    }

    /// Index of the link, quarter hours since 1970, and how many, in no order.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, i64, Counts)> {
        self.buckets
            .iter()
            .map(|(&(link, at), &counts)| (link, at, counts))
    }

    /// One for each visit and dimension.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// One for each human visit.
    pub fn visits(&self) -> &[Visit] {
        &self.visits
    }

    fn link(&mut self, counted: &'a Counted) -> usize {
        let click = &counted.click;
        *self.link_index.entry(click.link_id).or_insert_with(|| {
            self.links.push(LinkSum {
                link_id: click.link_id,
                owner_id: click.owner_id,
                code: &click.code,
                counts: Counts::default(),
                first_click_at_ms: None,
                last_click_at_ms: None,
            });
            self.links.len() - 1
        })
    }

    fn part(&mut self, link: usize, dimension: u8, label: &'a str) {
        let label = *self.label_index.entry(label).or_insert_with(|| {
            self.labels.push(label);
            self.labels.len() - 1
        });
        self.parts.push(Part {
            link,
            dimension,
            label,
        });
    }
}
