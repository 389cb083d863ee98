//! The rules of the product hold, whatever happens within the bounds.

use model::{Bounds, Rules, explore};

/// Explores all states within the bounds. How many they are, and how many steps lead to the
/// farthest, is stated so that a model that has lost some of them does not pass unseen.
fn holds(bounds: Bounds, states: usize, depth: usize) {
    let report = explore(&bounds, Rules::ALL, &[]);
    if let Some(found) = report.found {
        panic!("{:?} after\n{}", found.violation, found.schedule);
    }
    assert_eq!((report.states, report.depth), (states, depth));
    assert!(report.drained > 0);
}

#[test]
fn messages_and_acknowledgements_are_lost_late_or_both() {
    let bounds = Bounds {
        clicks: 4,
        network: 3,
        sweeps: 1,
        ..Bounds::QUIET
    };
    holds(bounds, 85_637, 25);
}

#[test]
fn redirectors_and_analytics_die() {
    let bounds = Bounds {
        network: 1,
        crashes: 2,
        consumer_crashes: 1,
        sweeps: 1,
        ..Bounds::QUIET
    };
    holds(bounds, 2_007_451, 39);
}

#[test]
fn two_redirectors_publish_at_once() {
    let bounds = Bounds {
        redirectors: 2,
        clicks: 2,
        network: 1,
        crashes: 1,
        ..Bounds::QUIET
    };
    holds(bounds, 451_182, 22);
}

#[test]
fn a_machine_loses_its_power_and_the_tail_of_its_spool() {
    let bounds = Bounds {
        network: 1,
        crashes: 1,
        power: 1,
        ..Bounds::QUIET
    };
    holds(bounds, 165_636, 24);
}

#[test]
fn a_spool_folder_is_copied_and_published_twice() {
    let bounds = Bounds {
        network: 1,
        crashes: 1,
        copies: 1,
        ..Bounds::QUIET
    };
    holds(bounds, 807_846, 27);
}

#[test]
fn the_stream_is_full() {
    let bounds = Bounds {
        network: 1,
        crashes: 1,
        sweeps: u8::MAX,
        capacity: 2,
        ..Bounds::QUIET
    };
    holds(bounds, 43_898, 34);
}

#[test]
fn messages_are_deleted_by_hand() {
    let bounds = Bounds {
        crashes: 1,
        consumer_crashes: 1,
        sweeps: 1,
        purges: 2,
        ..Bounds::QUIET
    };
    holds(bounds, 2_440_075, 39);
}

#[test]
fn the_stream_is_deleted_and_made_anew() {
    let bounds = Bounds {
        network: 1,
        crashes: 1,
        anew: 2,
        ..Bounds::QUIET
    };
    holds(bounds, 2_754_592, 40);
}

#[test]
fn the_stream_is_restored_from_a_backup() {
    let bounds = Bounds {
        network: 1,
        crashes: 1,
        sweeps: 1,
        stream_restores: 1,
        ..Bounds::QUIET
    };
    holds(bounds, 1_889_351, 37);
}

#[test]
fn a_restored_stream_loses_messages() {
    let bounds = Bounds {
        crashes: 1,
        sweeps: 1,
        purges: 1,
        stream_restores: 1,
        ..Bounds::QUIET
    };
    holds(bounds, 2_674_028, 40);
}

#[test]
fn the_database_is_restored_from_a_backup() {
    let bounds = Bounds {
        crashes: 1,
        consumer_crashes: 1,
        sweeps: 1,
        purges: 1,
        database_restores: 1,
        ..Bounds::QUIET
    };
    holds(bounds, 2_683_945, 37);
}

#[test]
fn stream_and_database_are_replaced_and_lose_messages() {
    let bounds = Bounds {
        clicks: 2,
        consumer_crashes: 1,
        sweeps: 1,
        purges: 1,
        anew: 1,
        stream_restores: 1,
        database_restores: 1,
        ..Bounds::QUIET
    };
    holds(bounds, 385_261, 38);
}

#[test]
#[ignore = "30 million states take minutes, and gigabytes of memory"]
fn everything_fails_once() {
    let bounds = Bounds {
        clicks: 2,
        network: 1,
        crashes: 1,
        consumer_crashes: 1,
        purges: 1,
        stream_restores: 1,
        database_restores: 1,
        ..Bounds::QUIET
    };
    holds(bounds, 29_390_121, 46);
}
