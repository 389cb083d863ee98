use std::fmt;
use std::time::Duration;

use super::site::Target;

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
    /// Everything killed at the same moment, and started again in this order.
    KillAll(Vec<Target>),
}

impl Fault {
    /// Processes that are killed with it.
    pub fn kills(&self, nodes: usize) -> usize {
        match self {
            Self::Kill(..) | Self::KillLeader(_) => 1,
            Self::FullStatistics(_)
            | Self::Freeze(..)
            | Self::Restart(_)
            | Self::CutOffLeader(_)
            | Self::CutOff(..) => 0,
            Self::Outage(_) | Self::FullSpools(_) => nodes,
            Self::KillInOutage(..) => nodes + 1,
            Self::KillAll(targets) => targets.len(),
        }
    }

    /// Whether a redirector is killed.
    pub fn kills_redirector(&self) -> bool {
        matches!(
            self,
            Self::Kill(Target::Redirector(_), _) | Self::KillInOutage(..) | Self::KillAll(_)
        )
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
            Self::KillAll(_) => write!(to, "kill -9 everything"),
        }
    }
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
