use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How far the relay has come, and who waits until it has come further.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Every row up to this one has been stored by NATS.
    stored: i64,
    /// Those who wait, by row: of many thousands only those are woken whose turn it is.
    waiting: BTreeMap<(i64, u64), oneshot::Sender<()>>,
    /// How many have waited so far, which tells two apart that wait for the same row.
    tickets: u64,
}

impl Progress {
    /// The last row that has been stored.
    pub(super) fn stored(&self) -> i64 {
        self.state().stored
    }

    /// Notes that every row up to this one has been stored, and wakes who waited for it.
    pub(super) fn advance(&self, up_to: i64) {
        let mut state = self.state();
        state.stored = up_to;
        let later = state.waiting.split_off(&(up_to + 1, 0));
        let woken = std::mem::replace(&mut state.waiting, later);
        drop(state);
        for waiting in woken.into_values() {
            // Whoever waited may have gone away.
            let _ = waiting.send(());
        }
    }

    /// Waits until the row has been stored.
    pub(super) async fn reach(&self, row: i64) {
        let (place, woken) = {
            let mut state = self.state();
            if state.stored >= row {
                return;
            }
            let (wake, woken) = oneshot::channel();
            let place = (row, state.tickets);
            state.tickets += 1;
            state.waiting.insert(place, wake);
            (place, woken)
        };
        let _place = Place(self, place);
        // Nobody drops the other end: who waits holds the relay.
        let _ = woken.await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait, given back also by who waits no longer.
struct Place<'a>(&'a Progress, (i64, u64));

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.state().waiting.remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn who_waits_is_woken_by_the_row_and_leaves_nothing_behind() {
        let progress = Progress::default();
        progress.advance(3);
        assert!(progress.reach(3).now_or_never().is_some());
        let mut waiting: Vec<_> = [5, 4, 5, 6]
            .into_iter()
            .map(|row| Box::pin(progress.reach(row)))
            .collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none());
        }
        progress.advance(5);
        let woken: Vec<_> = waiting
            .iter_mut()
            .map(|one| one.now_or_never().is_some())
            .collect();
        assert_eq!(woken, [true, true, true, false]);
        assert_eq!(progress.state().waiting.len(), 1);
        drop(waiting);
        assert!(progress.state().waiting.is_empty());
    }
}
