//! The database: what a click costs that is stored with many others, on a disk.

use analytics::parts::{Counted, MIGRATIONS, Rules, Turns, count};
use divan::Bencher;
use divan::counter::ItemsCount;
use events::{Click, Hints};
use rusqlite::Connection;
use uuid::Uuid;

fn main() {
    divan::main();
}

/// Links of a million, each as likely; a few user agents and some thousand referrers.
fn clicks(links: u64, count: usize, seed: &mut u64) -> Vec<Counted> {
    let rules = Rules::new();
    let mut next = || {
        // A linear congruential generator (Knuth's MMIX): any numbers will do, the same each time.
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    };
    let mut clicks = Vec::with_capacity(count);
    for _ in 0..count {
        let click = Click {
            link_id: Uuid::from_u128(0x0190 << 112 | u128::from(next() % links)),
            owner_id: Uuid::from_u128(1),
            code: "c1".into(),
            at_ms: 1_795_000_000_000 + (next() % 1_000_000).cast_signed(),
            hints: Hints::NONE,
            referrer: format!("news{}.example.org", next() % 4_096).into(),
            user_agent: format!(
                "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Firefox/{0}.0",
                120 + next() % 8
            )
            .into(),
            language: ["de", "en", "fr"][(next() % 3) as usize].into(),
            country: None,
            visitor: next() << 32 | next(),
        };
        let (kind, agent) = rules.classify(&click);
        clicks.push(Counted { click, kind, agent });
    }
    clicks
}

/// How many links, and how many clicks share a transaction.
#[divan::bench(args = [(1_000_000, 20_000), (1_000_000, 100_000), (1_000_000, 400_000), (10_000, 100_000), (1, 20_000)], sample_count = 12, sample_size = 1)]
fn set(bencher: Bencher, (links, size): (u64, usize)) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut database = Connection::open(folder.path().join("clicks.db")).expect("a database");
    database
        .pragma_update(None, "journal_mode", "wal")
        .expect("a log");
    for migration in MIGRATIONS {
        migration.run(&database).expect("a schema");
    }
    let mut seed = 1;
    bencher
        .counter(ItemsCount::new(size))
        .with_inputs(|| clicks(links, size, &mut seed))
        .bench_local_values(|clicks| {
            let tx = database.transaction().expect("a transaction");
            count(&tx, &clicks, &mut Turns::without_rest()).expect("they are stored");
            tx.commit().expect("they are stored");
        });
}
