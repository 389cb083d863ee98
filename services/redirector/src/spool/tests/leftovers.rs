use std::fs;
use std::path::PathBuf;

use uuid::Uuid;

use super::super::{Budget, Folder, Leftover};
use super::support::{Disk, click, everything, fill};

#[test]
fn a_crash_loses_nothing() {
    let disk = Disk::new();
    let spool = disk.spool(1 << 20);
    fill(&spool, 0..3_000);
    let (id, partition) = (spool.id(), spool.partition());
    drop(spool);
    let leftovers = disk.leftovers();
    assert_eq!(leftovers.len(), 1);
    assert_eq!(
        (leftovers[0].spool, leftovers[0].partition()),
        (id, Some(partition))
    );
    let expected: Vec<_> = (0..3_000).map(|number| (number, click(number))).collect();
    assert_eq!(everything(&leftovers[0]), expected);
}

#[test]
fn what_several_processes_left_is_found_oldest_first() {
    let disk = Disk::new();
    let ids: Vec<_> = (1..=3)
        .map(|clicks| {
            let spool = disk.spool(1 << 20);
            fill(&spool, 0..clicks);
            spool.id()
        })
        .collect();
    let new = disk.spool(1 << 20);
    assert!(!ids.contains(&new.id()));
    assert_eq!(new.append(&click(0)).unwrap().number, 0);
    drop(new);
    let leftovers = disk.leftovers();
    assert_eq!(
        leftovers
            .iter()
            .map(|leftover| leftover.spool)
            .take(3)
            .collect::<Vec<_>>(),
        ids
    );
    for (leftover, clicks) in leftovers.iter().zip(1..=3) {
        assert_eq!(everything(leftover).len(), clicks);
    }
}

#[test]
fn a_retired_leftover_is_gone_and_so_are_its_bytes() {
    let disk = Disk::new();
    fill(&disk.spool(1 << 20), 0..3_000);
    let budget = Budget::new(0);
    let mut leftovers = Leftover::find(&disk.folder, &budget).unwrap();
    let total = budget.used();
    assert!(total > 0);
    leftovers[0].delete_first();
    assert!(budget.used() < total);
    leftovers.pop().unwrap().retire();
    assert_eq!(disk.files(), Vec::<PathBuf>::new());
    assert_eq!(budget.used(), 0);
}

#[test]
fn two_can_not_open_one_folder() {
    let disk = Disk::new();
    let error = Folder::open(disk.folder.path()).unwrap_err();
    assert!(
        error.to_string().contains("in use by another redirector"),
        "{error}"
    );
    let (path, temporary) = disk.close();
    assert!(Folder::open(&path).is_ok());
    drop(temporary);
}

#[test]
fn a_folder_that_can_not_be_made_is_an_error() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Folder::open(&file.join("spool")).unwrap_err();
    assert!(
        error.to_string().contains("can't use the spool folder"),
        "{error}"
    );
}

#[test]
fn files_of_others_are_left_alone() {
    let disk = Disk::new();
    let stranger = disk.folder.path().join("notes.clicks");
    fs::write(&stranger, "mine").unwrap();
    fs::write(disk.folder.path().join("table.snapshot"), "links").unwrap();
    assert!(disk.leftovers().is_empty());
    assert!(stranger.exists());
}

#[test]
fn a_segment_under_another_spools_name_is_not_believed() {
    let disk = Disk::new();
    fill(&disk.spool(1 << 20), 0..5);
    let other = Uuid::now_v7();
    fs::rename(&disk.files()[0], disk.folder.segment(other, 1)).unwrap();
    let leftovers = disk.leftovers();
    assert_eq!(
        (leftovers[0].spool, leftovers[0].partition()),
        (other, None)
    );
    assert!(everything(&leftovers[0]).is_empty());
}

#[test]
fn an_older_copy_of_a_segment_changes_nothing() {
    let disk = Disk::new();
    let spool = disk.spool(1 << 20);
    fill(&spool, 0..5);
    fs::copy(&disk.files()[0], disk.folder.segment(spool.id(), 99)).unwrap();
    fill(&spool, 5..9);
    drop(spool);
    let mut found = everything(&disk.leftovers()[0]);
    found.sort();
    found.dedup();
    assert_eq!(
        found,
        (0..9)
            .map(|number| (number, click(number)))
            .collect::<Vec<_>>()
    );
}
