use std::time::Duration;

use anyhow::Context as _;
use chassis::clock::Clock;
use tokio::time::{sleep, timeout};

use super::Options;
use super::client::{Owner, http, metric};
use super::drain::drain;
use super::ending::Ending;
use super::feed::Feed;
use super::inflict::inflict;
use super::load::{self, Load};
use super::plan::plan;
use super::report::{Happened, Report};
use super::site::Site;

/// How long one fault may take with everything around it.
const STEP_LIMIT: Duration = Duration::from_mins(2);

/// How long setting up, and looking everything up at the end, may take.
const AROUND_LIMIT: Duration = Duration::from_mins(10);

/// How often to look for something.
const POLL: Duration = Duration::from_millis(50);

/// Load without any fault, at the beginning and at the end.
const CALM: Duration = Duration::from_secs(1);

/// A whole run: what it found, or why it could not find anything. `tell` gets lines for whoever
/// waits.
pub async fn run(options: &Options, tell: impl Fn(&str)) -> anyhow::Result<Report> {
    tell(&options.to_string());
    let (mut site, mut owner) = timeout(AROUND_LIMIT, set_up(options, &tell))
        .await
        .context("setting up takes too long")??;
    let steps = plan(options);
    let began = Clock::system().now();
    let load = Load::start(options, site.redirectors());
    sleep(CALM).await;
    let mut happened = Vec::with_capacity(steps.len());
    let mut ending = Ending::default();
    for (index, step) in steps.iter().enumerate() {
        load.enter(index + 1);
        let entered = load.elapsed();
        let nodes = site.nats.nodes.len();
        let doing = async {
            sleep(step.lead).await;
            ending.sample(&site).await;
            let unclean = inflict(&mut site, &step.fault).await?;
            site.mend().await?;
            sleep(step.tail).await;
            anyhow::Ok(unclean)
        };
        let unclean = timeout(STEP_LIMIT, doing)
            .await
            .with_context(|| format!("{} takes too long", step.fault))?
            .with_context(|| step.fault.to_string())?;
        tell(&format!(
            "{:4}/{} {:7.1?} {}",
            index + 1,
            steps.len(),
            load.elapsed(),
            step.fault
        ));
        ending.unclean.extend(unclean);
        happened.push(Happened {
            name: step.fault.to_string(),
            began: entered,
            kills: step.fault.kills(nodes),
            redirectors_killed: step.fault.redirectors_killed(),
            stamps_early: step.fault.stamps_early(),
        });
    }
    load.enter(steps.len() + 1);
    sleep(CALM).await;
    let lasted = load.elapsed();
    let requests = load.stop().await?;
    tell("all faults are over: waiting until everything is counted");
    // The gauges and counters of the last processes, before they stop.
    sleep(CALM).await;
    ending.sample(&site).await;
    let draining = drain(&mut site, &mut owner, options, &requests);
    let counted = timeout(AROUND_LIMIT, draining)
        .await
        .context("looking everything up takes too long")??;
    let feed = timeout(AROUND_LIMIT, Feed::read(&site.nats))
        .await
        .context("reading the feed takes too long")??;
    ending.feed = feed.compare(&counted);
    let first = owner.first_click_at().await?;
    ending.stamped_early = began.duration_since(first).as_secs();
    ending.missing = metric(&site.client, site.analytics_admin(), "kurz_clicks_missing").await;
    ending.missed = metric(
        &site.client,
        site.analytics_admin(),
        "kurz_click_messages_missed",
    )
    .await;
    ending.ended.append(&mut site.ended);
    Ok(Report::new(
        options, lasted, &happened, &requests, &counted, ending,
    ))
}

/// Everything runs, and both redirectors follow the links of an account.
async fn set_up(options: &Options, tell: impl Fn(&str)) -> anyhow::Result<(Site, Owner)> {
    let site = Site::start(options, tell).await?;
    site.nats
        .shorten_duplicate_window()
        .await
        .context("can't shorten the duplicate window")?;
    let owner = Owner::register(site.addresses()).await?;
    owner.turn_feed_on().await?;
    for link in 0..u64::from(options.links) {
        owner.link(&load::code(link)).await?;
    }
    let last = load::code(u64::from(options.links) - 1);
    let client = http()?;
    for address in site.redirectors() {
        // A HEAD is recorded as a kind of its own and is no click.
        let url = format!("http://{address}/{last}");
        while client.head(&url).send().await?.status().as_u16() != 302 {
            sleep(POLL).await;
        }
    }
    Ok((site, owner))
}
