//! Whatever happens to the bytes: no panic, no invented click, no click under another number, and
//! none lost that stands before the damage.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::{Limits, SMALLEST_SPOOL, Spool};
use super::support::{Disk, click, everything};

#[derive(Debug, Clone)]
enum Damage {
    /// The file ends here.
    Cut(Index),
    /// From here on nothing was written.
    Zeros(Index),
    /// A page in the middle was not written, and later ones were.
    Hole(Index, usize),
    /// One byte is another.
    Flip(Index, u8),
    /// Bytes of anything, from here on.
    Noise(Index, Vec<u8>),
    /// The file is gone.
    Gone,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        any::<Index>().prop_map(Damage::Zeros),
        (any::<Index>(), 1..5_000_usize).prop_map(|(at, length)| Damage::Hole(at, length)),
        (any::<Index>(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..64))
            .prop_map(|(at, noise)| Damage::Noise(at, noise)),
        Just(Damage::Gone),
    ]
}

impl Damage {
    /// Does it, somewhere in the `used` first bytes; the offset of the first byte that may differ.
    fn strike(&self, path: &Path, used: usize) -> usize {
        if matches!(self, Self::Gone) {
            fs::remove_file(path).unwrap();
            return 0;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
        let write = |at: usize, bytes: &[u8]| {
            let bytes = &bytes[..bytes.len().min(length - at)];
            file.write_all_at(bytes, at as u64).unwrap();
            at
        };
        match self {
            Self::Cut(at) => {
                let at = at.index(used);
                file.set_len(at as u64).unwrap();
                at
            }
            Self::Zeros(at) => write(at.index(used), &vec![0; length]),
            Self::Hole(at, hole) => write(at.index(used), &vec![0; *hole]),
            Self::Flip(at, bits) => {
                let at = at.index(used);
                let mut byte = [0];
                file.read_exact_at(&mut byte, at as u64).unwrap();
                write(at, &[byte[0] ^ bits])
            }
            Self::Noise(at, noise) => write(at.index(used), noise),
            Self::Gone => 0,
        }
    }
}

/// For each segment: the number of its first click, and where each record ends.
fn layout(clicks: u64) -> Vec<(u64, Vec<usize>)> {
    let mut layout: Vec<(u64, Vec<usize>)> = Vec::new();
    let mut end = usize::MAX / 2;
    for number in 0..clicks {
        let record = 16 + click(number).len();
        if end + record > 64 << 10 {
            layout.push((number, Vec::new()));
            end = 44;
        }
        end += record;
        layout.last_mut().unwrap().1.push(end);
    }
    layout
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_give_only_true_clicks(
        clicks in 1..1_500_u64,
        segment in any::<Index>(),
        damage in damage(),
    ) {
        let disk = Disk::new();
        let spool = disk.spool(SMALLEST_SPOOL);
        for number in 0..clicks {
            prop_assert_eq!(spool.append(&click(number)).unwrap().number, number);
        }
        drop(spool);
        let (files, layout) = (disk.files(), layout(clicks));
        prop_assert_eq!(files.len(), layout.len());
        let struck = segment.index(files.len());
        let (first, ends) = &layout[struck];
        let at = damage.strike(&files[struck], *ends.last().unwrap());

        let found: Vec<_> = disk.leftovers().iter().flat_map(everything).collect();
        for (number, bytes) in &found {
            prop_assert_eq!(bytes, &click(*number));
        }
        prop_assert!(found.windows(2).all(|two| two[0].0 < two[1].0));
        // Lost is at most what the struck segment held from the damage on.
        let whole = ends.iter().filter(|end| **end <= at).count() as u64;
        let behind = layout.get(struck + 1).map_or(clicks, |(next, _)| *next);
        let sure = (0..clicks).filter(|number| *number < first + whole || *number >= behind);
        let numbers: Vec<_> = found.iter().map(|(number, _)| *number).collect();
        for number in sure {
            // A header that says nothing takes its whole segment with it.
            if at >= 44 || number < *first || number >= behind {
                prop_assert!(numbers.binary_search(&number).is_ok(), "{} is lost", number);
            }
        }
    }

    #[test]
    fn files_of_noise_are_no_clicks(noise in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let disk = Disk::new();
        fs::write(disk.folder.segment(uuid::Uuid::now_v7(), 1), &noise).unwrap();
        for leftover in disk.leftovers() {
            prop_assert!(everything(&leftover).is_empty());
            leftover.retire();
        }
        prop_assert!(disk.files().is_empty());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// Take a batch of at most so many clicks, and forget about it: its ack is lost.
    Take(usize),
    /// Take one and hear that it is stored.
    Deliver(usize),
    Upkeep,
    Sync,
    /// The process dies; another opens a new spool and publishes what it finds.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..400_usize).prop_map(Step::Append),
        2 => (1..600_usize).prop_map(Step::Take),
        4 => (1..600_usize).prop_map(Step::Deliver),
        1 => Just(Step::Upkeep),
        1 => Just(Step::Sync),
        1 => Just(Step::Crash),
    ]
}

/// One process: its spool, what it appended, what it knows to be stored.
struct Life {
    spool: Spool,
    appended: Vec<Vec<u8>>,
    stored: u64,
}

impl Life {
    fn begin(disk: &Disk) -> Self {
        Self {
            spool: disk.spool(SMALLEST_SPOOL),
            appended: Vec::new(),
            stored: 0,
        }
    }

    fn take(&self, clicks: usize) -> Option<u64> {
        let batch = self.spool.batch(
            self.stored,
            Limits {
                clicks,
                bytes: 40_000,
            },
        )?;
        assert_eq!(batch.first(), self.stored);
        let range = usize::try_from(batch.first()).unwrap()..usize::try_from(batch.next()).unwrap();
        assert_eq!(batch.clicks().collect::<Vec<_>>(), self.appended[range]);
        Some(batch.next())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_course_of_events_loses_and_doubles_nothing(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let disk = Disk::with_budget(4 * SMALLEST_SPOOL);
        let mut life = Life::begin(&disk);
        let mut serial = 0;
        for step in steps {
            match step {
                Step::Append(clicks) => for _ in 0..clicks {
                    serial += 1;
                    let bytes = click(serial);
                    // A full spool keeps the older clicks.
                    if let Ok(appended) = life.spool.append(&bytes) {
                        prop_assert_eq!(appended.number, life.appended.len() as u64);
                        life.appended.push(bytes);
                    }
                },
                Step::Take(clicks) => drop(life.take(clicks)),
                Step::Deliver(clicks) => if let Some(next) = life.take(clicks) {
                    life.stored = next;
                    life.spool.acknowledge(next);
                },
                // A full folder has no room for a spare.
                Step::Upkeep => drop(life.spool.upkeep()),
                Step::Sync => prop_assert_eq!(
                    life.spool.sync().unwrap(),
                    life.appended.len() as u64
                ),
                Step::Crash => {
                    let Life { spool, appended, stored } = life;
                    let id = spool.id();
                    drop(spool);
                    for leftover in disk.leftovers() {
                        prop_assert_eq!(leftover.spool, id);
                        let found = everything(&leftover);
                        for (number, bytes) in &found {
                            prop_assert_eq!(bytes, &appended[usize::try_from(*number).unwrap()]);
                        }
                        let kept = found.first().map_or(stored, |(number, _)| *number);
                        prop_assert!(kept <= stored);
                        prop_assert_eq!(kept + found.len() as u64, appended.len() as u64);
                        leftover.retire();
                    }
                    prop_assert!(disk.files().is_empty());
                    life = Life::begin(&disk);
                }
            }
            prop_assert_eq!(life.spool.pending(), life.appended.len() as u64 - life.stored);
        }
    }
}
