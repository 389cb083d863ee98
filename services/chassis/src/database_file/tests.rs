use std::fs;
use std::future::pending;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use super::*;
use crate::backups::{Copy, Schedule};
use crate::ready::Readiness;
use crate::sqlite::{Closed, Migration};

const SCHEMA: Schema = Schema {
    name: "fruit",
    migrations: &[
        Migration::Sql("CREATE TABLE fruit (name TEXT PRIMARY KEY) STRICT"),
        Migration::Sql("CREATE TABLE basket (name TEXT PRIMARY KEY) STRICT"),
    ],
    after_restore: "it is sorted",
};

const PROFILES: [Profile; 2] = [Profile::Local, Profile::Nfs];

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// A database in a folder of its own, and what was restored there.
struct Orchard {
    folder: tempfile::TempDir,
    file: DatabaseFile,
    clock: Clock,
}

/// One that is open.
struct Open {
    database: Database,
    shutdown: Shutdown,
}

impl Orchard {
    fn new(profile: Profile) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            file: DatabaseFile::new(folder.path().join("fruit.db"), profile),
            folder,
            clock: Clock::manual("2026-11-24T12:00:00Z".parse::<Timestamp>().unwrap()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn try_open(&self) -> Result<Open, String> {
        let (shutdown, ready) = (Shutdown::new(), Readiness::default());
        let opened = self
            .file
            .open(&SCHEMA, self.clock.clone(), &shutdown, &ready);
        match opened.await {
            Ok(database) => Ok(Open { database, shutdown }),
            Err(error) => Err(format!("{error:#}")),
        }
    }

    async fn open(&self) -> Open {
        self.try_open().await.unwrap()
    }

    /// Opens it, adds a fruit, and closes it.
    async fn grow(&self, name: &'static str) {
        let open = self.open().await;
        open.add(name).await;
        open.close().await;
    }

    /// What a start finds.
    async fn fruit(&self) -> Vec<String> {
        let open = self.open().await;
        let fruit = open.fruit().await;
        open.close().await;
        fruit
    }

    /// Opens it, copies it and closes it; a minute passes.
    async fn back_up(&self) -> Copy {
        let open = self.open().await;
        let (backups, now) = (&self.file.backups, self.clock.now());
        let copy = backups.make(&open.database, now, &open.shutdown).await;
        open.close().await;
        self.clock.advance(SignedDuration::from_mins(1));
        copy.unwrap()
    }

    /// The command `restore`; what it says.
    fn restore(&self, options: &[&str]) -> Result<String, String> {
        let mut output = Vec::new();
        let now = self.clock.now();
        let done = restore(&self.file, &SCHEMA, options, now, &mut output).unwrap();
        let output = String::from_utf8(output).unwrap();
        match done {
            Ok(()) => Ok(output),
            Err(error) => Err(format!("{output}{error:#}")),
        }
    }

    /// The names of all files beside the database, but for the lock.
    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names
            .filter(|name| name != "backups" && name != "fruit.db.lock")
            .collect();
        names.sort();
        names
    }
}

impl Open {
    async fn add(&self, name: &'static str) {
        let add = move |tx: &Connection| {
            Ok::<_, Error>(tx.execute("INSERT INTO fruit VALUES (?1)", [name])?)
        };
        self.database.write(add).await.unwrap();
    }

    async fn fruit(&self) -> Vec<String> {
        let read = |connection: &Connection| {
            let mut names = connection.prepare("SELECT name FROM fruit ORDER BY name")?;
            let names = names.query_map([], |row| row.get(0))?;
            Ok::<_, Error>(names.collect::<Result<Vec<String>, _>>()?)
        };
        self.database.read(read).await.unwrap()
    }

    async fn close(self) {
        self.shutdown.begin();
        self.shutdown.declare_drained();
        self.database.close().await;
        assert!(self.shutdown.finish().await);
        // Its last connections are closed some time later.
        let path = self.database.path().to_owned();
        drop(self.database);
        let is_open = || {
            let mut files = fs::read_dir("/proc/self/fd").unwrap().flatten();
            files.any(|file| fs::read_link(file.path()).is_ok_and(|file| file == path))
        };
        crate::testing::eventually(|| async { (!is_open()).then_some(()) }).await;
    }
}

#[tokio::test]
async fn the_newest_backup_comes_back_and_the_old_files_stay() {
    for profile in PROFILES {
        let orchard = Orchard::new(profile);
        orchard.grow("fig").await;
        orchard.back_up().await;
        orchard.grow("pear").await;
        orchard.back_up().await;
        orchard.grow("plum").await;
        fs::write(orchard.path("fruit.db-journal"), "of the old one").unwrap();

        let said = orchard.restore(&[]).unwrap();
        assert!(said.contains("restored: "), "{said}");
        assert!(said.contains("at the next start: it is sorted"), "{said}");
        let aside = "fruit.db.broken-20261124T120200Z";
        let journal = format!("{aside}-journal");
        for name in ["fruit.db", aside, &journal] {
            assert!(orchard.files().iter().any(|file| file == name), "{name}");
        }
        assert!(said.contains(aside) && said.contains(&journal), "{said}");
        assert_eq!(orchard.fruit().await, ["fig", "pear"]);
    }
}

#[tokio::test]
async fn a_named_backup_comes_back_by_its_name_or_path() {
    let orchard = Orchard::new(Profile::Local);
    orchard.grow("fig").await;
    let oldest = orchard.back_up().await.path;
    orchard.grow("pear").await;
    orchard.back_up().await;
    let name = oldest.file_name().unwrap().to_str().unwrap();
    for named in [name, oldest.to_str().unwrap()] {
        orchard.restore(&[named]).unwrap();
        assert_eq!(orchard.fruit().await, ["fig"]);
        orchard.clock.advance(SignedDuration::from_secs(1));
    }
    let refused = orchard.restore(&["no-such.db"]).unwrap_err();
    assert!(refused.contains("there is no such file"), "{refused}");
    assert_eq!(orchard.fruit().await, ["fig"]);
    let options: &[&[&str]] = &[&["--newest"], &["one.db", "--list"], &["a", "b"]];
    for options in options {
        let now = orchard.clock.now();
        assert!(restore(&orchard.file, &SCHEMA, options, now, &mut Vec::new()).is_none());
    }
}

#[tokio::test]
async fn nothing_is_restored_under_a_process_that_has_the_database_open() {
    for profile in PROFILES {
        let orchard = Orchard::new(profile);
        orchard.grow("fig").await;
        orchard.back_up().await;
        let open = orchard.open().await;
        let refused = orchard.restore(&[]).unwrap_err();
        assert!(refused.contains("a process has the database"), "{refused}");
        // Also when somebody deleted it meanwhile.
        sqlite_remove(&orchard.file.path);
        let refused = orchard.restore(&[]).unwrap_err();
        assert!(refused.contains("a process has the database"), "{refused}");
        assert!(orchard.restore(&["--list"]).unwrap().contains(" good\n"));
        open.close().await;
        orchard.restore(&[]).unwrap();
        assert_eq!(orchard.fruit().await, ["fig"]);
    }
}

#[tokio::test]
async fn nothing_starts_while_a_restore_goes_on() {
    let orchard = Orchard::new(Profile::Local);
    orchard.grow("fig").await;
    let locks = lock::alone(&orchard.file.path).unwrap();
    let refused = orchard.try_open().await.err().unwrap();
    assert!(refused.contains("is being restored"), "{refused}");
    drop(locks);
    assert_eq!(orchard.fruit().await, ["fig"]);
}

#[tokio::test]
async fn bad_copies_are_listed_as_such_and_passed_over() {
    let orchard = Orchard::new(Profile::Local);
    orchard.grow("fig").await;
    let good = orchard.back_up().await.path;
    let add = |minute: u32, sql: &[&str], bytes: Option<&[u8]>| {
        let name = format!("fruit-20261125T12{minute:02}00Z.db");
        let path = orchard.file.backups.folder().join(name);
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => Connection::open(&path)
                .unwrap()
                .execute_batch(&sql.join(";"))
                .unwrap(),
        }
        path
    };
    let [Migration::Sql(first), Migration::Sql(second)] = SCHEMA.migrations else {
        panic!("two migrations")
    };
    add(1, &[], Some(b"this is not a database"));
    add(2, &[], Some(b""));
    add(3, &[first, second, "PRAGMA user_version = 3"], None);
    add(
        4,
        &["CREATE TABLE cars (name TEXT)", "PRAGMA user_version = 1"],
        None,
    );
    let mut torn = fs::read(&good).unwrap();
    torn.truncate(torn.len() / 2);
    add(5, &[], Some(&torn));
    // An older version of the schema is a good one.
    let older = add(0, &[first, "PRAGMA user_version = 1"], None);

    let list = orchard.restore(&["--list"]).unwrap();
    let verdicts: Vec<_> = list.lines().map(|line| line.contains(" good")).collect();
    assert_eq!(
        verdicts,
        [false, false, false, false, false, true, true],
        "{list}"
    );
    assert!(
        list.contains("its schema is 3, and 2 is the newest"),
        "{list}"
    );
    assert!(list.contains("not a database of this service"), "{list}");

    let refused = orchard.restore(&["fruit-20261125T120400Z.db"]).unwrap_err();
    assert!(
        refused.contains("not a database of this service"),
        "{refused}"
    );
    let touched = |name: &String| name.contains("broken") || name.contains("restore");
    assert!(!orchard.files().iter().any(touched));
    let said = orchard.restore(&[]).unwrap();
    assert_eq!(said.matches("passed over: ").count(), 5, "{said}");
    assert!(said.contains(older.to_str().unwrap()), "{said}");
    assert!(orchard.fruit().await.is_empty());

    fs::remove_dir_all(orchard.file.backups.folder()).unwrap();
    let refused = orchard.restore(&[]).unwrap_err();
    assert!(refused.contains("there is no good backup"), "{refused}");
}

#[tokio::test]
async fn a_database_in_use_is_no_backup() {
    let orchard = Orchard::new(Profile::Local);
    let other = Orchard::new(Profile::Local);
    let open = other.open().await;
    open.add("fig").await;
    let named = other.file.path.to_str().unwrap();
    let refused = orchard.restore(&[named]).unwrap_err();
    assert!(refused.contains("lies beside it"), "{refused}");
    open.close().await;
    orchard.grow("fig").await;
    let own = orchard.file.path.to_str().unwrap();
    let refused = orchard.restore(&[own]).unwrap_err();
    assert!(refused.contains("the database itself"), "{refused}");
}

#[tokio::test]
async fn a_restore_that_was_killed_is_seen_and_completed() {
    /// What a kill leaves: what was moved, whether there is a draft, and whether a start goes well.
    type State<'a> = (&'a str, &'a [(&'a str, &'a str)], bool, bool);
    let aside = "fruit.db.broken-20261124T110000Z";
    let states: [State<'_>; 4] = [
        ("half of the copy", &[], true, true),
        (
            "the database set aside",
            &[("fruit.db", aside)],
            true,
            false,
        ),
        (
            "its journals, too",
            &[
                ("fruit.db", aside),
                ("fruit.db-wal", &format!("{aside}-wal")),
            ],
            true,
            false,
        ),
        (
            "a copy of nothing",
            &[("fruit.db", "elsewhere")],
            false,
            false,
        ),
    ];
    for (state, moves, draft, starts) in states {
        let orchard = Orchard::new(Profile::Local);
        orchard.grow("fig").await;
        orchard.back_up().await;
        let open = orchard.open().await;
        open.add("pear").await;
        // As a kill -9 leaves them: with a journal that holds the pear.
        let copies = ["fruit.db", "fruit.db-wal"].map(|name| {
            let bytes = fs::read(orchard.path(name)).unwrap();
            (name, bytes)
        });
        open.close().await;
        for (name, bytes) in copies {
            fs::write(orchard.path(name), bytes).unwrap();
        }
        if draft {
            fs::write(orchard.path("fruit.db.restore"), "half").unwrap();
        }
        for (from, to) in moves {
            fs::rename(orchard.path(from), orchard.path(to)).unwrap();
        }

        match orchard.try_open().await {
            Ok(open) => {
                assert!(starts, "{state}");
                assert_eq!(open.fruit().await, ["fig", "pear"], "{state}");
                open.close().await;
            }
            Err(refused) => {
                assert!(!starts, "{state}: {refused}");
                assert!(refused.contains("`restore`"), "{state}: {refused}");
                assert!(!orchard.path("fruit.db").exists(), "{state}");
            }
        }
        orchard.restore(&[]).unwrap();
        assert_eq!(orchard.fruit().await, ["fig"], "{state}");
        assert!(!orchard.path("fruit.db.restore").exists(), "{state}");
        // Whatever was there can be opened still, with what only its journal held.
        let left = orchard.files();
        let broken = left.iter().find(|name| {
            (name.contains("broken") || *name == "elsewhere")
                && !restore::JOURNALS
                    .iter()
                    .any(|ending| name.ends_with(ending))
        });
        let broken = orchard.path(broken.unwrap());
        if state != "a copy of nothing" {
            let old = Connection::open(&broken).unwrap();
            let count = old.query_row("SELECT count(*) FROM fruit", [], |row| row.get(0));
            assert_eq!(count, Ok(2), "{state}: {left:?}");
        }
    }
}

#[tokio::test]
async fn a_database_that_is_gone_is_not_made_anew_while_anything_shows_that_it_was_there() {
    let orchard = Orchard::new(Profile::Local);
    orchard.grow("fig").await;
    orchard.back_up().await;
    sqlite_remove(&orchard.file.path);
    let refused = orchard.try_open().await.err().unwrap();
    assert!(refused.contains("there are 1 backups of it"), "{refused}");
    assert!(refused.contains("on purpose"), "{refused}");
    // So does one that lost its content.
    fs::write(&orchard.file.path, "").unwrap();
    orchard.try_open().await.err().unwrap();

    fs::rename(orchard.file.backups.folder(), orchard.path("elsewhere")).unwrap();
    assert!(orchard.fruit().await.is_empty());
}

#[tokio::test]
async fn a_database_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let orchard = Orchard::new(Profile::Local);
    orchard.grow("fig").await;
    orchard.back_up().await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&orchard.file.path), 0o600);
    // However the copy came here.
    let copies = orchard.file.backups.list().unwrap();
    fs::set_permissions(&copies[0].path, fs::Permissions::from_mode(0o644)).unwrap();
    orchard.restore(&[]).unwrap();
    assert_eq!(mode(&orchard.file.path), 0o600);
}

#[tokio::test]
async fn copies_are_made_by_themselves_and_a_failure_disturbs_nobody() {
    for profile in PROFILES {
        let mut orchard = Orchard::new(profile);
        orchard.grow("fig").await;
        let schedule = Schedule {
            interval: Duration::from_hours(24),
            keep: 2,
        };
        orchard.file.backups = orchard.file.backups.clone().on(schedule);
        let copies = || orchard.file.backups.list().unwrap();
        // At each start after a long stop.
        for day in 1..=3 {
            let open = orchard.open().await;
            crate::testing::eventually(|| async {
                (copies().first()?.made == orchard.clock.now()).then_some(())
            })
            .await;
            crate::testing::eventually(|| async { (copies().len() == day.min(2)).then_some(()) })
                .await;
            open.close().await;
            orchard.clock.advance(SignedDuration::from_hours(25));
        }
        // And none while the newest is young.
        orchard.clock.advance(SignedDuration::from_hours(-24));
        let open = orchard.open().await;
        open.close().await;
        assert_eq!(copies().len(), 2);

        orchard.clock.advance(SignedDuration::from_hours(24));
        let folder = orchard.file.backups.folder().to_owned();
        fs::rename(&folder, orchard.path("elsewhere")).unwrap();
        fs::write(&folder, "not a folder").unwrap();
        let open = orchard.open().await;
        crate::testing::eventually(|| async {
            let made =
                orchard
                    .file
                    .backups
                    .make(&open.database, orchard.clock.now(), &open.shutdown);
            made.await.err()
        })
        .await;
        open.add("pear").await;
        assert_eq!(open.fruit().await, ["fig", "pear"]);
        open.close().await;
    }
}

#[tokio::test]
async fn a_stop_ends_a_copy_and_leaves_nothing_behind() {
    for profile in PROFILES {
        let orchard = Orchard::new(profile);
        let open = orchard.open().await;
        let to = orchard.path("backups/one.db");
        let ended = open.database.back_up(&to, std::future::ready(())).await;
        assert!(ended.is_err());
        assert_eq!(fs::read_dir(orchard.path("backups")).unwrap().count(), 0);
        // The connection is none the worse.
        open.add("fig").await;
        open.database.back_up(&to, pending()).await.unwrap();
        open.close().await;
    }
}

fn sqlite_remove(path: &Path) {
    crate::sqlite::remove(path).unwrap();
}
