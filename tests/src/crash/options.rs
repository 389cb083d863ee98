use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};

/// What `crash --help` says.
pub(super) const USAGE: &str = "\
usage: crash [--seed N] [--faults N] [--durability memory|spool|ack] [--scenario mixed|full]
             [--cluster] [--disks] [--clock] [--rate N] [--clients N] [--links N] [--spool-bytes N] [--keep]

  --seed         what chance is drawn from (1)
  --faults       how many faults (100)
  --durability   the redirectors' level (spool)
  --scenario     mixed: kills, freezes, restarts and outages; full: NATS away until spools are full
  --cluster      three nats-servers, with leaders killed and nodes cut off
  --disks        spools and statistics on small disks, which are filled (root on Linux)
  --clock        clocks of redirectors and analytics set wrong while they run (needs faketime)
  --rate         requests a second, at most (600)
  --clients      concurrent clients (24)
  --links        links that are followed (64)
  --spool-bytes  bound of each spool (mixed: 64 MiB, full: 256 KiB, with --disks 1 MiB)
  --keep         keep logs and databases

Exits with 1 if a guarantee is broken.";

/// The most clients: each is a task and a socket.
const MOST_CLIENTS: u32 = 1_000;

/// How many servers a cluster has: the least that survive the loss of one.
const CLUSTER: usize = 3;

/// The redirectors' level of durability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A kill may lose what is on its way.
    Memory,
    /// A kill loses nothing.
    Spool,
    /// The answer waits for the stream.
    Ack,
}

/// Which faults there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// All but full spools.
    Mixed,
    /// Spools that are too small for an outage; what they can't keep must be counted as dropped.
    Full,
}

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// What chance is drawn from.
    pub seed: u64,
    /// How many faults.
    pub faults: usize,
    /// The redirectors' level.
    pub level: Level,
    /// Which faults.
    pub scenario: Scenario,
    /// How many nats-servers there are: 1 or 3.
    pub nodes: usize,
    /// Whether spools and statistics are on small disks of their own.
    pub disks: bool,
    /// Whether clocks are set wrong.
    pub clock: bool,
    /// Requests a second, at most.
    pub rate: u32,
    /// Concurrent clients.
    pub clients: u32,
    /// Links that are followed.
    pub links: u32,
    /// Bound of each spool; none for the scenario's own.
    pub spool_bytes: Option<u64>,
    /// Whether logs and databases stay.
    pub keep: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            faults: 100,
            level: Level::Spool,
            scenario: Scenario::Mixed,
            nodes: 1,
            disks: false,
            clock: false,
            rate: 600,
            clients: 24,
            links: 64,
            spool_bytes: None,
            keep: false,
        }
    }
}

impl Options {
    /// Reads a command line; none if it asks for help.
    pub fn read(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Option<Self>> {
        let mut options = Self::default();
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--cluster" => options.nodes = CLUSTER,
                "--disks" => options.disks = true,
                "--clock" => options.clock = true,
                "--keep" => options.keep = true,
                "--seed" => options.seed = value(&name, &mut arguments)?,
                "--faults" => options.faults = value(&name, &mut arguments)?,
                "--durability" => options.level = value(&name, &mut arguments)?,
                "--scenario" => options.scenario = value(&name, &mut arguments)?,
                "--rate" => options.rate = value(&name, &mut arguments)?,
                "--clients" => options.clients = value(&name, &mut arguments)?,
                "--links" => options.links = value(&name, &mut arguments)?,
                "--spool-bytes" => options.spool_bytes = Some(value(&name, &mut arguments)?),
                _ => bail!("{name}: there is no such option"),
            }
        }
        ensure!(
            options.rate > 0 && options.links > 0,
            "--rate and --links are at least 1"
        );
        ensure!(
            (1..=MOST_CLIENTS).contains(&options.clients),
            "--clients is from 1 to {MOST_CLIENTS}"
        );
        Ok(Some(options))
    }

    /// The bound of each spool.
    pub fn spool_bytes(&self) -> u64 {
        self.spool_bytes.unwrap_or(match self.scenario {
            Scenario::Mixed => 64 << 20,
            Scenario::Full if self.disks => 1 << 20,
            Scenario::Full => 256 << 10,
        })
    }
}

impl fmt::Display for Options {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scenario = match self.scenario {
            Scenario::Mixed => "",
            Scenario::Full => " --scenario full",
        };
        let cluster = if self.nodes > 1 { " --cluster" } else { "" };
        let disks = if self.disks { " --disks" } else { "" };
        let clock = if self.clock { " --clock" } else { "" };
        write!(
            to,
            "crash --seed {} --faults {} --durability {}{scenario}{cluster}{disks}{clock} --rate {}",
            self.seed, self.faults, self.level, self.rate
        )?;
        match self.spool_bytes {
            Some(bytes) => write!(to, " --spool-bytes {bytes}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Memory => "memory",
            Self::Spool => "spool",
            Self::Ack => "ack",
        })
    }
}

impl FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "memory" => Ok(Self::Memory),
            "spool" => Ok(Self::Spool),
            "ack" => Ok(Self::Ack),
            _ => Err("is not one of memory, spool, ack"),
        }
    }
}

impl FromStr for Scenario {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "mixed" => Ok(Self::Mixed),
            "full" => Ok(Self::Full),
            _ => Err("is not one of mixed, full"),
        }
    }
}

fn value<T: FromStr>(
    name: &str,
    arguments: &mut impl Iterator<Item = String>,
) -> anyhow::Result<T> {
    let text = arguments
        .next()
        .with_context(|| format!("{name} needs a value"))?;
    text.parse()
        .ok()
        .with_context(|| format!("{name} can't be {text:?}"))
}
