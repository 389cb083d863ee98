use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use events::streams;
use rusqlite::{Connection, OpenFlags};

use crate::ingest::stream;
use crate::state::AppState;
use crate::store::position::{self, Position};

/// What a rebuild begins with.
#[derive(Debug)]
pub(super) enum Base {
    /// An empty database: the stream holds everything since its first message.
    Nothing,
    /// A copy from which the stream goes on without a hole.
    Backup {
        /// The copy.
        path: PathBuf,
        /// The last message that it counted; the stream still holds it.
        sequence: u64,
    },
}

impl Base {
    /// Nothing, or else the oldest backup that joins the stream, since it goes back farthest; or the
    /// newest one, if that is asked for. It must not be ahead of what was `counted`. An error says
    /// why there is none.
    pub(super) async fn find(
        state: &AppState,
        counted: &Position,
        newest: bool,
    ) -> anyhow::Result<Self> {
        let name = &*state.clicks_stream();
        let stream = state
            .bus
            .jetstream()
            .get_stream(name)
            .await
            .with_context(|| format!("a rebuild needs the stream {name}"))?;
        let first = stream.cached_info().state.first_sequence;
        if first <= 1 && !newest {
            return Ok(Self::Nothing);
        }
        let mut reasons = Vec::new();
        let mut copies = state.backups.list()?;
        if !newest {
            copies.reverse();
        }
        for path in copies.into_iter().map(|copy| copy.path) {
            let copy = path.clone();
            let position = tokio::task::spawn_blocking(move || position_of(&copy)).await?;
            let reason = match position {
                Err(error) => format!("can't be read ({error:#})"),
                Ok(None) => "has read nothing".to_owned(),
                // Sequences of two streams say nothing about each other.
                Ok(Some(position))
                    if position.epoch == counted.epoch && position.sequence > counted.sequence =>
                {
                    "knows more than what is counted now".to_owned()
                }
                Ok(Some(position)) => {
                    if stream::recognises(&state.bus, name, &position).await? {
                        let sequence = position.sequence;
                        return Ok(Self::Backup { path, sequence });
                    }
                    format!(
                        "ends with message {}, which the stream does not hold",
                        position.sequence
                    )
                }
            };
            reasons.push(format!("{}: {reason}", path.display()));
        }
        if reasons.is_empty() {
            reasons.push(format!(
                "there is none in {}",
                state.backups.folder().display()
            ));
        }
        let reasons = reasons.join("; ");
        bail!("refused: the stream begins with message {first}, and no backup joins it: {reasons}");
    }

    /// The last message that it counted.
    pub(super) fn sequence(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Backup { sequence, .. } => *sequence,
        }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => to.write_str("from nothing, from the first message of the stream"),
            Self::Backup { path, sequence } => write!(
                to,
                "from the backup {}, behind message {sequence}",
                path.display()
            ),
        }
    }
}

/// How far a copy had read the stream; none if not at all.
fn position_of(copy: &Path) -> anyhow::Result<Option<Position>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(copy, flags)?;
    Ok(position::load(&connection, streams::CLICKS.name)?)
}
