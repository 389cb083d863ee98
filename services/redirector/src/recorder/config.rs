//! How clicks are kept.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How safe a click is when its visitor gets the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// In a bounded queue in memory: a kill -9 loses what is not yet acknowledged.
    Memory,
    /// In a file: a kill -9 loses nothing.
    #[default]
    Spool,
    /// In the stream, or after a time-out in a file.
    Ack,
}

impl FromStr for Durability {
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

/// When the spool is forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncPolicy {
    /// When the kernel likes: what a lost node can cost are the clicks that the stream has not
    /// acknowledged, which are those of some 20 ms while NATS is there.
    #[default]
    None,
    /// Every so often, in the background.
    Every(Duration),
    /// Before the visitor gets the answer; visitors of the same moment share one sync.
    Each,
}

impl FromStr for SyncPolicy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let milliseconds = |text: &str| text.strip_suffix("ms")?.parse().ok().filter(|ms| *ms > 0);
        match text {
            "none" => Ok(Self::None),
            "each" => Ok(Self::Each),
            _ => match milliseconds(text) {
                Some(ms) => Ok(Self::Every(Duration::from_millis(ms))),
                None => Err("is not one of none, each, or a time like 100ms"),
            },
        }
    }
}

/// What a [`super::Recorder`] needs to know.
#[derive(Debug, Clone)]
pub struct RecorderConfig {
    /// How safe a click is when its visitor gets the answer.
    pub durability: Durability,
    /// Where the spools are. Each redirector needs its own.
    pub folder: PathBuf,
    /// How many bytes all spools take at most, on disk or in memory.
    pub bytes: u64,
    /// When the spool is forced to the disk.
    pub sync: SyncPolicy,
    /// Into how many partitions the accounts are divided.
    pub partitions: u32,
}

impl RecorderConfig {
    /// There is nothing to sync in memory.
    pub(super) fn effective_sync(&self) -> SyncPolicy {
        match self.durability {
            Durability::Memory => SyncPolicy::None,
            Durability::Spool | Durability::Ack => self.sync,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_by_name() {
        assert_eq!("memory".parse(), Ok(Durability::Memory));
        assert_eq!("spool".parse(), Ok(Durability::Spool));
        assert_eq!("ack".parse(), Ok(Durability::Ack));
        assert!("Spool".parse::<Durability>().is_err());
        assert_eq!(Durability::default(), Durability::Spool);
    }

    #[test]
    fn sync_policies_are_read_by_name_or_time() {
        assert_eq!("none".parse(), Ok(SyncPolicy::None));
        assert_eq!("each".parse(), Ok(SyncPolicy::Each));
        assert_eq!(
            "50ms".parse(),
            Ok(SyncPolicy::Every(Duration::from_millis(50)))
        );
        for wrong in ["", "0ms", "ms", "-1ms", "50", "50s", "always"] {
            assert!(wrong.parse::<SyncPolicy>().is_err(), "{wrong}");
        }
    }
}
