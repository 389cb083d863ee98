//! What people and disks do to streams and databases, and the retention of analytics.

use crate::bounds::{Bounds, Rules};
use crate::world::{Step, World};

impl World {
    pub(crate) fn operator_steps(&self, bounds: &Bounds, rules: Rules, steps: &mut Vec<Step>) {
        let (stream, used) = (&self.stream, &self.used);
        if used.sweeps < bounds.sweeps
            && let Some(limit) = self.sweep_limit(rules)
        {
            let before = stream.first() + 1..=limit;
            steps.extend(before.map(|before| Step::Sweep { before }));
        }
        if used.purges < bounds.purges && !stream.messages.is_empty() {
            let before = stream.first() + 1..=stream.last + 1;
            steps.extend(before.map(|before| Step::Purge { before }));
            let sequences = stream.messages.iter().map(|message| message.sequence);
            steps.extend(sequences.map(|sequence| Step::Delete { sequence }));
        }
        if used.anew < bounds.anew {
            steps.push(Step::MakeAnew);
        }
        if used.stream_restores < bounds.stream_restores {
            if self.stream_backup.is_none() {
                steps.push(Step::BackUpStream);
            } else {
                steps.push(Step::RestoreStream);
            }
        }
        if used.database_restores < bounds.database_restores {
            if self.database_backup.is_none() {
                steps.push(Step::BackUpDatabase);
            } else if self.consumer_is_off() {
                steps.push(Step::RestoreDatabase);
            }
        }
    }

    /// What somebody deletes from a restored stream before analytics has found its place there,
    /// nobody knows of: the one exception.
    pub(crate) fn excuse(&mut self, is_deleted: impl Fn(u8) -> bool) {
        if self.knows_of_no_restore() {
            let messages = self.stream.messages.iter();
            let unseen = messages.filter(|message| is_deleted(message.sequence));
            self.ghost.replaced |= unseen.fold(0, |set, message| set | message.batch.set());
        }
    }

    /// What the database knew of deleted messages it may know no more.
    pub(crate) fn restore_database(&mut self) {
        self.used.database_restores += 1;
        if let Some(database) = self.database_backup {
            self.database = database;
        }
        if self.knows_of_no_restore() {
            let purged = self.ghost.purged.iter();
            self.ghost.replaced |= purged.fold(0, |set, purged| set | purged.clicks);
        }
    }

    /// The stream was restored, and the database is of a time before that was noticed.
    fn knows_of_no_restore(&self) -> bool {
        self.stream.instance.restores > 0 && self.database.found != self.stream.instance
    }
}
