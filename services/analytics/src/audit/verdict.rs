use events::SpoolState;
use uuid::Uuid;

use super::evidence::{Evidence, Spool};

/// An open spool of which nothing was heard for so long is not on its way any more: its redirector
/// is gone, and so are its unpublished clicks, unless it starts again.
pub(super) const SILENCE_MS: i64 = 60 * 60 * 1_000;

/// What became of the clicks of every spool.
pub(super) struct Verdict {
    /// One for each spool, those with missing clicks first, then by age.
    pub(super) lines: Vec<Line>,
    /// All of them together.
    pub(super) total: Numbers,
}

/// What became of one spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// The spool.
    pub(super) spool: Uuid,
    /// What its redirector says of it.
    pub(super) state: State,
    /// When that was.
    pub(super) reported_at_ms: Option<i64>,
    /// Its clicks.
    pub(super) numbers: Numbers,
}

/// How many clicks are where.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Recorded by a redirector.
    pub(super) appended: u64,
    /// Stored by the stream at some time.
    pub(super) published: u64,
    /// Counted.
    pub(super) counted: u64,
    /// On their way: in the spool, or in the stream and not yet read.
    pub(super) outstanding: u64,
    /// Nowhere.
    pub(super) missing: u64,
}

/// What a redirector says of its spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// There may be more to come.
    Open,
    /// The same, but it was said too long ago to be true.
    Silent,
    /// Nothing more will come.
    Retired,
    /// Nothing: it is older than the reports, or its redirector is.
    Unannounced,
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Silent => "silent",
            Self::Retired => "retired",
            Self::Unannounced => "unannounced",
        }
    }
}

impl Verdict {
    pub(super) fn of(evidence: &Evidence, now_ms: i64) -> Self {
        let mut lines: Vec<Line> = evidence
            .spools
            .iter()
            .map(|(id, spool)| judge(*id, spool, evidence.read_up_to, now_ms))
            .collect();
        lines.sort_by_key(|line| (line.numbers.missing == 0, line.spool));
        let total = lines.iter().fold(Numbers::default(), |sum, line| Numbers {
            appended: sum.appended + line.numbers.appended,
            published: sum.published + line.numbers.published,
            counted: sum.counted + line.numbers.counted,
            outstanding: sum.outstanding + line.numbers.outstanding,
            missing: sum.missing + line.numbers.missing,
        });
        Self { lines, total }
    }
}

fn judge(id: Uuid, spool: &Spool, read_up_to: u64, now_ms: i64) -> Line {
    let report = spool.report.as_ref();
    let state = match report {
        None => State::Unannounced,
        Some(report) if report.state == SpoolState::Retired => State::Retired,
        Some(_) if now_ms.saturating_sub(spool.reported_at_ms) > SILENCE_MS => State::Silent,
        Some(_) => State::Open,
    };
    let stored = spool.stored.and_then(|stored| stored.end).unwrap_or(0);
    let acknowledged = report.map_or(0, |report| report.acknowledged);
    let published = spool.next.max(stored).max(acknowledged);
    let appended = report.map_or(0, |report| report.appended).max(published);
    let is_unread = spool.stored.is_some_and(|last| last.sequence > read_up_to);
    // Whether the last message says nothing about the numbers, and those before it are not read.
    let is_unclear = is_unread && stored == 0;
    let mut numbers = Numbers {
        appended,
        published,
        counted: spool.next.saturating_sub(spool.gaps),
        outstanding: 0,
        missing: spool.gaps,
    };
    let mut at = spool.next;
    let on_their_way = state == State::Open;
    // In the stream; acknowledged by the stream; in the spool only.
    for (end, is_coming) in [
        (stored, is_unread),
        (acknowledged, is_unclear),
        (appended, on_their_way),
    ] {
        let clicks = end.saturating_sub(at);
        *(if is_coming {
            &mut numbers.outstanding
        } else {
            &mut numbers.missing
        }) += clicks;
        at += clicks;
    }
    Line {
        spool: id,
        state,
        reported_at_ms: report.map(|_| spool.reported_at_ms),
        numbers,
    }
}

#[cfg(test)]
mod tests {
    use events::SpoolReport;

    use super::super::evidence::Stored;
    use super::*;

    fn spool(next: u64, gaps: u64) -> Spool {
        Spool {
            next,
            gaps,
            ..Spool::default()
        }
    }

    fn report(appended: u64, acknowledged: u64, state: SpoolState) -> SpoolReport {
        SpoolReport {
            spool: Uuid::nil(),
            partition: 0,
            partitions: 1,
            appended,
            acknowledged,
            at_ms: 0,
            state,
        }
    }

    /// Outstanding and missing, when everything up to sequence 10 was read.
    fn judged(spool: &Spool, now_ms: i64) -> (u64, u64) {
        let numbers = judge(Uuid::nil(), spool, 10, now_ms).numbers;
        let parts = numbers.counted + numbers.outstanding + numbers.missing;
        assert_eq!(
            parts, numbers.appended,
            "every click is somewhere: {spool:?}"
        );
        (numbers.outstanding, numbers.missing)
    }

    #[test]
    fn what_waits_in_an_open_spool_is_on_its_way_until_its_redirector_is_silent() {
        let spool = Spool {
            report: Some(report(9, 5, SpoolState::Open)),
            ..spool(5, 0)
        };
        assert_eq!(judged(&spool, SILENCE_MS), (4, 0));
        assert_eq!(judged(&spool, SILENCE_MS + 1), (0, 4));
    }

    #[test]
    fn what_a_retired_spool_did_not_publish_is_missing() {
        let spool = Spool {
            report: Some(report(9, 5, SpoolState::Retired)),
            ..spool(5, 0)
        };
        assert_eq!(judged(&spool, 0), (0, 4));
    }

    #[test]
    fn what_the_stream_holds_is_on_its_way_until_it_was_read() {
        for (sequence, expected) in [(11, (4, 0)), (10, (0, 4))] {
            let stored = Some(Stored {
                sequence,
                end: Some(9),
            });
            let spool = Spool {
                stored,
                ..spool(5, 0)
            };
            assert_eq!(judged(&spool, 0), expected);
        }
    }

    #[test]
    fn what_was_acknowledged_and_is_in_no_message_is_missing() {
        let stored = Some(Stored {
            sequence: 10,
            end: Some(5),
        });
        let spool = Spool {
            report: Some(report(9, 8, SpoolState::Open)),
            stored,
            ..spool(5, 0)
        };
        assert_eq!(judged(&spool, 0), (1, 3));
    }

    #[test]
    fn what_was_counted_and_deleted_from_the_stream_is_not_missing() {
        let spool = Spool {
            report: Some(report(9, 9, SpoolState::Retired)),
            ..spool(9, 2)
        };
        assert_eq!(judged(&spool, SILENCE_MS * 2), (0, 2));
    }

    #[test]
    fn an_unreadable_last_message_hides_what_is_before_it_until_it_was_read() {
        let stored = Some(Stored {
            sequence: 11,
            end: None,
        });
        let spool = Spool {
            report: Some(report(9, 9, SpoolState::Open)),
            stored,
            ..spool(5, 0)
        };
        assert_eq!(judged(&spool, 0), (4, 0));
    }
}
