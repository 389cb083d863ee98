use std::time::Duration;

use tokio::time::sleep;

use super::fault::Fault;
use super::process::Stopped;
use super::site::{Site, Store, Target};

/// Does it, and waits until everything is back. What a restart did not do in order is returned.
pub async fn inflict(site: &mut Site, fault: &Fault) -> anyhow::Result<Option<String>> {
    match fault {
        Fault::Kill(target, gone) => {
            site.process(*target).kill().await?;
            sleep(*gone).await;
            start(site, *target).await?;
        }
        Fault::Freeze(target, time) => {
            site.process(*target).freeze()?;
            sleep(*time).await;
            site.process(*target).thaw()?;
            site.ready(*target).await?;
        }
        Fault::Restart(target) => {
            let stopped = site.process(*target).stop().await?;
            let words = site.process(*target).last_words();
            start(site, *target).await?;
            if stopped != Stopped::Cleanly {
                return Ok(Some(format!("{target} stopped {stopped:?}:\n{words}")));
            }
        }
        Fault::Outage(away) => {
            end_nats(site).await?;
            sleep(*away).await;
            start_nats(site).await?;
        }
        Fault::KillInOutage(redirector, away) => {
            end_nats(site).await?;
            sleep(*away / 2).await;
            let target = Target::Redirector(*redirector);
            site.process(target).kill().await?;
            site.process(target).start()?;
            sleep(*away / 2).await;
            start_nats(site).await?;
            site.ready(target).await?;
        }
        Fault::KillLeader(gone) => {
            let leader = Target::Nats(site.nats.leader().await.unwrap_or(0));
            site.process(leader).kill().await?;
            sleep(*gone).await;
            start(site, leader).await?;
        }
        Fault::CutOffLeader(time) => {
            let leader = site.nats.leader().await.unwrap_or(0);
            cut_off(site, leader, *time).await;
        }
        Fault::CutOff(node, time) => cut_off(site, *node, *time).await,
        Fault::FullStatistics(time) => {
            fill(site, *time, |store| store == Store::Statistics).await?;
        }
        Fault::FullSpools(time) => {
            end_nats(site).await?;
            fill(site, *time, |store| matches!(store, Store::Spool(_))).await?;
            start_nats(site).await?;
        }
        Fault::StepClock(target, seconds, time) => {
            site.clock(*target)?.set(*seconds)?;
            sleep(*time).await;
            site.clock(*target)?.set(0)?;
        }
        Fault::KillWithWrongClock(target, seconds, time) => {
            site.clock(*target)?.set(*seconds)?;
            sleep(*time / 2).await;
            site.process(*target).kill().await?;
            start(site, *target).await?;
            sleep(*time / 2).await;
            site.clock(*target)?.set(0)?;
        }
        Fault::KillAll(targets) => {
            for target in targets {
                site.process(*target).kill().await?;
            }
            for target in targets {
                site.process(*target).start()?;
                sleep(Duration::from_millis(50)).await;
            }
            for target in targets {
                site.ready(*target).await?;
            }
        }
    }
    Ok(None)
}

async fn fill(site: &Site, time: Duration, which: fn(Store) -> bool) -> anyhow::Result<()> {
    for disk in site.disks(which) {
        disk.fill()?;
    }
    sleep(time).await;
    for disk in site.disks(which) {
        disk.free()?;
    }
    Ok(())
}

async fn cut_off(site: &Site, node: usize, time: Duration) {
    site.nats.wall.cut_off(node);
    sleep(time).await;
    site.nats.wall.heal();
}

async fn start(site: &mut Site, target: Target) -> anyhow::Result<()> {
    site.process(target).start()?;
    site.ready(target).await
}

async fn end_nats(site: &mut Site) -> anyhow::Result<()> {
    for node in &mut site.nats.nodes {
        node.kill().await?;
    }
    Ok(())
}

async fn start_nats(site: &mut Site) -> anyhow::Result<()> {
    for node in &mut site.nats.nodes {
        node.start()?;
    }
    for index in 0..site.nats.nodes.len() {
        site.nats.ready(index).await?;
    }
    Ok(())
}
