mod damage;
mod golden;
mod leftovers;
mod support;

use super::*;
use support::{Disk, click, everything, fill, opened};

const FEW: Limits = Limits {
    clicks: 3,
    bytes: 10_000,
};
const ALL: Limits = Limits {
    clicks: usize::MAX,
    bytes: usize::MAX,
};

#[test]
fn clicks_leave_in_order_with_consecutive_numbers() {
    let disk = Disk::new();
    let spool = disk.spool(1 << 20);
    for number in 0..10 {
        let appended = spool.append(&click(number)).unwrap();
        assert_eq!(
            appended,
            Appended {
                number,
                waiting: number + 1
            }
        );
    }
    let mut from = 0;
    while let Some(batch) = spool.batch(from, FEW) {
        assert_eq!(batch.first(), from);
        assert!(batch.len() <= 3);
        let expected: Vec<_> = (from..batch.next()).map(click).collect();
        assert_eq!(batch.clicks().collect::<Vec<_>>(), expected);
        from = batch.next();
    }
    assert_eq!(from, 10);
    assert_eq!(spool.waiting(), 0);
    assert_eq!(spool.pending(), 10);
}

#[test]
fn a_batch_is_bounded_in_bytes_but_takes_at_least_one_click() {
    let (_disk, spool) = opened(1 << 20);
    for _ in 0..3 {
        spool.append(&[7; 1_000]).unwrap();
    }
    assert_eq!(
        spool
            .batch(
                0,
                Limits {
                    clicks: 9,
                    bytes: 2_500
                }
            )
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        spool
            .batch(
                0,
                Limits {
                    clicks: 9,
                    bytes: 10
                }
            )
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_batch_that_is_taken_again_is_the_same() {
    let (_disk, spool) = opened(1 << 20);
    fill(&spool, 0..2_000);
    let first = spool.batch(0, FEW).unwrap();
    let later = spool.batch(3, ALL).unwrap();
    assert_eq!(spool.batch(0, FEW).unwrap(), first);
    assert_eq!(spool.waiting(), 1_997);
    assert_eq!(spool.batch(3, ALL).unwrap(), later);
}

#[test]
fn a_batch_crosses_segments() {
    let disk = Disk::new();
    let spool = disk.spool(1 << 20);
    fill(&spool, 0..3_000);
    assert!(disk.files().len() > 2);
    let batch = spool.batch(0, ALL).unwrap();
    let expected: Vec<_> = (0..3_000).map(click).collect();
    assert_eq!(batch.clicks().collect::<Vec<_>>(), expected);
}

#[test]
fn acknowledged_segments_are_deleted() {
    let disk = Disk::new();
    let spool = disk.spool(1 << 20);
    fill(&spool, 0..3_000);
    let before = disk.files().len();
    spool.acknowledge(2_999);
    assert!(spool.wants_upkeep());
    assert_eq!(disk.files().len(), before, "nobody waits for that");
    spool.upkeep().unwrap();
    assert!(disk.files().len() < before);
    assert_eq!(
        spool
            .batch(2_999, ALL)
            .unwrap()
            .clicks()
            .collect::<Vec<_>>(),
        [click(2_999)]
    );
    spool.acknowledge(3_000);
    assert!(spool.retire());
    assert_eq!(disk.files(), Vec::<PathBuf>::new());
    assert_eq!(disk.budget.used(), 0);
}

#[test]
fn a_spool_with_clicks_is_not_retired() {
    let disk = Disk::new();
    let spool = disk.spool(1 << 20);
    fill(&spool, 0..2);
    spool.acknowledge(1);
    assert!(!spool.retire());
    drop(spool);
    assert_eq!(
        everything(&disk.leftovers()[0]),
        [(0, click(0)), (1, click(1))]
    );
}

#[test]
fn a_full_spool_refuses_the_newest_click_and_leaves_no_hole() {
    let disk = Disk::with_budget(SMALLEST_SPOOL);
    let spool = disk.spool(SMALLEST_SPOOL);
    let mut kept = 0;
    while spool.append(&click(kept)).is_ok() {
        kept += 1;
    }
    assert_eq!(spool.append(&click(kept)), Err(Refused::Full));
    assert!(disk.budget.used() <= SMALLEST_SPOOL);
    let batch = spool.batch(0, ALL).unwrap();
    assert_eq!(
        batch.clicks().collect::<Vec<_>>(),
        (0..kept).map(click).collect::<Vec<_>>()
    );
    spool.acknowledge(batch.next());
    spool.lock().full_until = None;
    assert_eq!(
        spool.append(&click(kept)).unwrap(),
        Appended {
            number: kept,
            waiting: 1
        }
    );
    assert_eq!(
        spool.batch(kept, ALL).unwrap().clicks().collect::<Vec<_>>(),
        [click(kept)]
    );
}

#[test]
fn spools_share_one_budget() {
    let disk = Disk::with_budget(SMALLEST_SPOOL);
    let (one, two) = (disk.spool(SMALLEST_SPOOL), disk.spool(SMALLEST_SPOOL));
    assert_ne!(one.id(), two.id());
    while one.append(&[1; 1_000]).is_ok() {}
    while two.append(&[2; 1_000]).is_ok() {}
    assert_eq!(disk.budget.used(), SMALLEST_SPOOL);
    assert!(one.pending() > 0 && two.pending() > 0);
}

#[test]
fn what_can_not_be_a_click_is_refused() {
    let (_disk, spool) = opened(1 << 20);
    assert_eq!(spool.append(&[]), Err(Refused::TooLong));
    assert_eq!(spool.append(&vec![0; MAX_CLICK + 1]), Err(Refused::TooLong));
    assert_eq!(spool.append(&vec![0; MAX_CLICK]).unwrap().number, 0);
}

#[test]
fn a_spool_in_memory_behaves_the_same_and_touches_no_disk() {
    let budget = Budget::new(SMALLEST_SPOOL);
    let spool = Spool::open(Partition::WHOLE, None, budget.clone(), SMALLEST_SPOOL).unwrap();
    let mut kept = 0;
    while spool.append(&click(kept)).is_ok() {
        kept += 1;
    }
    assert_eq!(spool.batch(0, ALL).unwrap().next(), kept);
    assert_eq!(spool.sync().unwrap(), kept);
    spool.acknowledge(kept);
    assert!(spool.retire());
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_segment_made_ahead_of_need_is_used_and_cleaned_up() {
    let disk = Disk::new();
    let spool = disk.spool(1 << 20);
    assert_eq!(disk.files().len(), 1);
    assert!(!spool.wants_upkeep());
    spool.upkeep().unwrap();
    assert_eq!(disk.files().len(), 1);
    let mut number = 0;
    while !spool.wants_upkeep() {
        spool.append(&click(number)).unwrap();
        number += 1;
    }
    spool.upkeep().unwrap();
    assert_eq!(disk.files().len(), 2);
    fill(&spool, number..number + 400);
    assert_eq!(disk.files().len(), 2);
    spool.prepare().unwrap();
    drop(spool);
    let mut leftovers = disk.leftovers();
    assert_eq!(everything(&leftovers[0]).len() as u64, number + 400);
    leftovers.pop().unwrap().retire();
    assert_eq!(disk.files(), Vec::<PathBuf>::new());
}

#[test]
fn everything_before_a_sync_is_on_the_disk() {
    let disk = Disk::new();
    let spool = disk.spool(1 << 20);
    assert_eq!(spool.sync().unwrap(), 0);
    fill(&spool, 0..3_000);
    assert_eq!(spool.sync().unwrap(), 3_000);
    spool.acknowledge(2_000);
    fill(&spool, 3_000..3_001);
    assert_eq!(spool.sync().unwrap(), 3_001);
}

#[test]
fn many_threads_append_without_a_hole_or_a_repeat() {
    let (_disk, spool) = opened(64 << 20);
    let each = 5_000;
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let spool = &spool;
            scope.spawn(move || {
                for click in 0..each {
                    spool.append(&(thread << 32 | click).to_le_bytes()).unwrap();
                }
            });
        }
        let mut from = 0;
        let mut next_of = [0; 4];
        while from < 4 * each {
            let Some(batch) = spool.batch(from, FEW) else {
                continue;
            };
            for click in batch.clicks() {
                let value = u64::from_le_bytes(click.try_into().unwrap());
                let next = &mut next_of[usize::try_from(value >> 32).unwrap()];
                assert_eq!(value & 0xffff_ffff, *next);
                *next += 1;
            }
            from = batch.next();
            spool.acknowledge(from);
        }
        assert_eq!(next_of, [each; 4]);
    });
    assert_eq!(spool.pending(), 0);
}
