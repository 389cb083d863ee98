//! Waits until whatever can be counted is counted.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::time::sleep;

use super::client::{Owner, metric};
use super::load::{self, Request};
use super::options::{Level, Options, Scenario};
use super::process::Stopped;
use super::site::{REDIRECTORS, Site, Target};
use super::tally::is_all_there;

/// How long the clicks may take from the redirectors into the stream, and from there into the
/// database.
const LIMIT: Duration = Duration::from_secs(90);

/// How often to look. The gauges are set twice a second.
const POLL: Duration = Duration::from_millis(500);

/// How many looks in a row must say that all is quiet.
const QUIET: u32 = 4;

/// For how long the statistics are read again while clicks seem to be lost. analytics says that it
/// is behind nothing while it looks for the stream again, which takes seconds in a cluster whose
/// leader has changed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same where clicks may be lost. What comes later than this makes such a run fail, or lets it
/// report more than was lost.
const LITTLE_PATIENCE: Duration = Duration::from_secs(5);

/// What is counted: how often each referrer came.
pub type Counted = HashMap<String, u64>;

/// Waits until the redirectors have published all, stops them, waits until analytics has applied
/// all, and reads the statistics.
pub async fn drain(
    site: &mut Site,
    owner: &mut Owner,
    options: &Options,
    requests: &[Request],
) -> anyhow::Result<Counted> {
    owner.log_in().await?;
    published(site).await?;
    for index in 0..REDIRECTORS {
        let process = site.process(Target::Redirector(index));
        let stopped = process.stop().await?;
        if stopped != Stopped::Cleanly {
            let line = format!(
                "redirector stopped {stopped:?} at the end:\n{}",
                process.last_words()
            );
            site.ended.push(line);
        }
    }
    ensure!(
        site.segments()? == 0,
        "the redirectors left clicks in their spools"
    );
    let started = Instant::now();
    let patience = if options.level == Level::Memory || options.scenario == Scenario::Full {
        LITTLE_PATIENCE
    } else {
        PATIENCE
    };
    loop {
        applied(site, owner).await?;
        let last = started.elapsed() > patience;
        match read(owner, options).await {
            Ok(counted) if last || is_all_there(requests, &counted) => return Ok(counted),
            // What is counted meanwhile stands on one page and not on another.
            Err(error) if last => return Err(error),
            _ => {}
        }
    }
}

/// Waits until no redirector has clicks that the stream has not.
async fn published(site: &mut Site) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut quiet = 0;
    while quiet < QUIET {
        ensure!(
            started.elapsed() < LIMIT,
            "not all clicks are in the stream within {LIMIT:?}"
        );
        sleep(POLL).await;
        site.mend().await?;
        let mut pending = Some(0.0);
        for index in 0..REDIRECTORS {
            let here = metric(
                &site.client,
                site.redirector_admin(index),
                "kurz_clicks_pending",
            );
            pending = pending.zip(here.await).map(|(sum, here)| sum + here);
        }
        quiet = if pending == Some(0.0) { quiet + 1 } else { 0 };
    }
    Ok(())
}

/// Waits until the statistics no longer change, and nothing is left to apply.
async fn applied(site: &mut Site, owner: &Owner) -> anyhow::Result<()> {
    let started = Instant::now();
    let (mut quiet, mut before) = (0, None);
    while quiet < QUIET {
        ensure!(
            started.elapsed() < LIMIT,
            "not all clicks are counted within {LIMIT:?}"
        );
        sleep(POLL).await;
        site.mend().await?;
        let ask = async |name| metric(&site.client, site.analytics_admin(), name).await;
        // Without the stream nobody knows how far behind it is.
        let following = ask("kurz_clicks_following").await == Some(1.0);
        let none_left = following && ask("kurz_click_messages_behind").await == Some(0.0);
        let now = owner.clicks().await.ok();
        let same = now.is_some() && now == before && none_left;
        quiet = if same { quiet + 1 } else { 0 };
        before = now;
    }
    Ok(())
}

/// Every referrer of every link. An error if that is not what the summary says.
async fn read(owner: &Owner, options: &Options) -> anyhow::Result<Counted> {
    let mut counted = Counted::new();
    for link in 0..u64::from(options.links) {
        for (referrer, clicks) in owner.referrers(&load::code(link)).await? {
            *counted.entry(referrer).or_default() += clicks;
        }
    }
    let (sum, summary) = (counted.values().sum::<u64>(), owner.clicks().await?);
    ensure!(
        sum == summary,
        "the referrers add up to {sum} clicks, the summary says {summary}"
    );
    Ok(counted)
}
