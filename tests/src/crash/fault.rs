use std::fmt;
use std::time::Duration;

use super::site::{REDIRECTORS, Target};

/// What is done to the processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// kill -9, and a new start after a while.
    Kill(Target, Duration),
    /// SIGSTOP, and SIGCONT after a while.
    Freeze(Target, Duration),
    /// SIGTERM, and a new start when it has ended.
    Restart(Target),
    /// All nats-servers killed, and gone for longer than the duplicate window.
    Outage(Duration),
    /// A redirector killed, and started again, while NATS is away.
    KillInOutage(usize, Duration),
    /// The server that leads the stream of clicks killed, and started again after a while.
    KillLeader(Duration),
    /// That server cut off from the others, but not from its clients.
    CutOffLeader(Duration),
    /// Some server cut off from the others.
    CutOff(usize, Duration),
    /// No room for the statistics for a while.
    FullStatistics(Duration),
    /// NATS away, and no room on the disks of the spools.
    FullSpools(Duration),
    /// The clock set wrong by some seconds, and right again after a while.
    StepClock(Target, i64, Duration),
    /// A process killed, and started again, while its clock is wrong.
    KillWithWrongClock(Target, i64, Duration),
    /// Everything killed at the same moment, and started again in this order.
    KillAll(Vec<Target>),
}

impl Fault {
    /// Processes that are killed with it.
    pub fn kills(&self, nodes: usize) -> usize {
        match self {
            Self::Kill(..) | Self::KillLeader(_) | Self::KillWithWrongClock(..) => 1,
            Self::FullStatistics(_)
            | Self::StepClock(..)
            | Self::Freeze(..)
            | Self::Restart(_)
            | Self::CutOffLeader(_)
            | Self::CutOff(..) => 0,
            Self::Outage(_) | Self::FullSpools(_) => nodes,
            Self::KillInOutage(..) => nodes + 1,
            Self::KillAll(targets) => targets.len(),
        }
    }

    /// How many redirectors are killed.
    pub fn redirectors_killed(&self) -> u64 {
        match self {
            Self::Kill(Target::Redirector(_), _)
            | Self::KillInOutage(..)
            | Self::KillWithWrongClock(Target::Redirector(_), ..) => 1,
            Self::KillAll(_) => REDIRECTORS as u64,
            _ => 0,
        }
    }

    /// For how many seconds clicks are stamped too early.
    pub fn stamps_early(&self) -> i64 {
        match self {
            Self::StepClock(Target::Redirector(_), seconds, _)
            | Self::KillWithWrongClock(Target::Redirector(_), seconds, _) => (-seconds).max(0),
            _ => 0,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(target, _) => write!(to, "kill -9 {target}"),
            Self::Freeze(target, _) => write!(to, "freeze {target}"),
            Self::Restart(target) => write!(to, "restart {target}"),
            Self::Outage(_) => write!(to, "NATS away"),
            Self::KillInOutage(..) => write!(to, "NATS away, kill -9 redirector"),
            Self::KillLeader(_) => write!(to, "kill -9 leader of the stream"),
            Self::CutOffLeader(_) => write!(to, "cut off leader of the stream"),
            Self::CutOff(..) => write!(to, "cut off nats-server"),
            Self::FullStatistics(_) => write!(to, "disk of the statistics full"),
            Self::FullSpools(_) => write!(to, "NATS away, disks of the spools full"),
            Self::StepClock(target, seconds, _) => {
                write!(to, "clock of {target} {}", direction(*seconds))
            }
            Self::KillWithWrongClock(target, seconds, _) => {
                let direction = direction(*seconds);
                write!(to, "clock of {target} {direction}, kill -9 {target}")
            }
            Self::KillAll(_) => write!(to, "kill -9 everything"),
        }
    }
}

fn direction(seconds: i64) -> &'static str {
    if seconds < 0 { "back" } else { "forward" }
}

impl fmt::Display for Target {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Redirector(_) => "redirector",
            Self::Analytics => "analytics",
            Self::Shortener => "shortener",
            Self::Nats(_) => "nats-server",
        })
    }
}
