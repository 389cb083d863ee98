//! Each rule is needed: without it, the exploration finds what goes wrong, and with it, within the
//! same bounds, nothing.

use model::{Bounds, Rule, Rules, Violation, explore};

/// One redirector with two clicks; nothing fails.
const FEW: Bounds = Bounds {
    clicks: 2,
    ..Bounds::QUIET
};

fn needs(rule: Rule, bounds: Bounds, violation: Violation) {
    let whole = explore(&bounds, Rules::ALL, &[]);
    if let Some(found) = whole.found {
        panic!(
            "with all rules: {:?} after\n{}",
            found.violation, found.schedule
        );
    }
    let broken = explore(&bounds, Rules::without(rule), &[violation]);
    let found = broken.found.map(|found| found.violation);
    assert_eq!(found, Some(violation));
}

#[test]
fn without_the_expected_sequence_a_batch_given_up_is_stored_behind_its_retry() {
    needs(
        Rule::ExpectedSequence,
        Bounds { network: 1, ..FEW },
        Violation::OutOfOrder,
    );
}

#[test]
fn a_refusal_taken_for_an_acknowledgement_loses_clicks() {
    needs(
        Rule::ReadWhatIsThere,
        Bounds { network: 2, ..FEW },
        Violation::LostInSilence,
    );
}

#[test]
fn a_spool_that_goes_on_after_the_power_was_lost_gives_numbers_twice() {
    let bounds = Bounds { power: 1, ..FEW };
    needs(Rule::NewIdentity, bounds, Violation::NumberGivenTwice);
    needs(Rule::NewIdentity, bounds, Violation::LostInSilence);
}

#[test]
fn a_click_forgotten_when_it_is_sent_can_be_lost() {
    needs(
        Rule::KeepUntilAcknowledged,
        Bounds { network: 1, ..FEW },
        Violation::LostInSilence,
    );
}

#[test]
fn without_next_numbers_a_batch_that_comes_again_counts_twice() {
    needs(
        Rule::Ledger,
        Bounds {
            network: 1,
            crashes: 1,
            anew: 1,
            ..FEW
        },
        Violation::CountedTwice,
    );
}

#[test]
fn counters_that_are_committed_first_count_twice() {
    needs(
        Rule::OneTransaction,
        Bounds {
            consumer_crashes: 1,
            ..FEW
        },
        Violation::CountedTwice,
    );
}

#[test]
fn a_position_that_moves_on_delivery_skips_what_was_not_committed() {
    needs(
        Rule::OwnPosition,
        Bounds {
            consumer_crashes: 1,
            ..FEW
        },
        Violation::LostInSilence,
    );
}

#[test]
fn without_an_epoch_what_a_new_stream_loses_unread_is_hidden() {
    needs(
        Rule::Epoch,
        Bounds {
            purges: 1,
            anew: 1,
            ..Bounds::QUIET
        },
        Violation::LostInSilence,
    );
}

#[test]
fn without_a_fingerprint_a_restored_stream_is_read_from_the_wrong_place() {
    needs(
        Rule::Fingerprint,
        Bounds {
            stream_restores: 1,
            ..Bounds::QUIET
        },
        Violation::LostInSilence,
    );
}

#[test]
fn a_fingerprint_without_the_time_takes_a_batch_sent_again_for_the_one_that_was_read() {
    needs(
        Rule::StoredTime,
        Bounds {
            redirectors: 2,
            network: 1,
            stream_restores: 1,
            ..FEW
        },
        Violation::LostInSilence,
    );
}

#[test]
fn a_consumer_made_anew_by_itself_skips_what_a_restored_stream_holds() {
    needs(
        Rule::OneConsumer,
        Bounds {
            stream_restores: 1,
            ..Bounds::QUIET
        },
        Violation::LostInSilence,
    );
}

#[test]
fn a_stream_that_is_not_looked_at_again_is_read_from_a_place_in_the_one_before() {
    needs(
        Rule::CheckAgain,
        Bounds {
            consumer_crashes: 1,
            stream_restores: 1,
            ..Bounds::QUIET
        },
        Violation::LostInSilence,
    );
}

#[test]
fn a_retention_that_does_not_recognise_the_stream_deletes_what_was_not_counted() {
    needs(
        Rule::RecognisedBeforeDeleting,
        Bounds {
            clicks: 4,
            sweeps: 1,
            stream_restores: 1,
            ..Bounds::QUIET
        },
        Violation::Swept,
    );
}

#[test]
fn without_looking_for_jumps_the_end_of_a_spool_can_be_purged_in_silence() {
    needs(
        Rule::Jumps,
        Bounds {
            crashes: 1,
            purges: 1,
            ..FEW
        },
        Violation::LostInSilence,
    );
}

#[test]
fn without_looking_at_the_end_what_is_purged_there_is_lost_in_silence() {
    needs(
        Rule::MissedAtTheEnd,
        Bounds { purges: 1, ..FEW },
        Violation::LostInSilence,
    );
}

#[test]
fn the_position_of_the_stream_before_hides_what_a_restored_one_loses() {
    needs(
        Rule::RestoredIsUnread,
        Bounds {
            purges: 1,
            stream_restores: 1,
            ..Bounds::QUIET
        },
        Violation::LostInSilence,
    );
}

#[test]
fn a_restored_stream_is_not_recognised_once_the_message_that_gave_it_away_is_deleted() {
    needs(
        Rule::RestoredIsForgotten,
        Bounds {
            purges: 1,
            stream_restores: 1,
            ..Bounds::QUIET
        },
        Violation::LostInSilence,
    );
}

#[test]
fn a_position_that_goes_back_reports_what_was_read_as_missed() {
    needs(
        Rule::PlaceStays,
        Bounds {
            consumer_crashes: 1,
            purges: 2,
            ..Bounds::QUIET
        },
        Violation::FalseAlarm,
    );
}
