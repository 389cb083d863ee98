use chassis::testing::{Folder, eventually};
use rustix::process::Signal;

use crate::process::{Cleanup, Kurz, counted, is_alive, log_in, make_link, signal, visit};

#[tokio::test]
async fn ctrl_c_stops_everything_and_loses_nothing() {
    let folder = Folder::new();
    let kurz = Kurz::start(folder.path()).await;
    let nats = kurz.nats_pid();
    let token = log_in(&kurz).await;
    make_link(&kurz, &token, "rust").await;
    for _ in 0..100 {
        visit(&kurz, "rust").await;
    }
    signal(kurz.pid(), Signal::INT);
    assert!(kurz.terminate().success());
    assert!(!is_alive(nats));

    let kurz = Kurz::start(folder.path()).await;
    let token = log_in(&kurz).await;
    assert_eq!(counted(&kurz, &token, "rust", 100).await, 100);
    assert!(kurz.terminate().success());
}

#[tokio::test]
async fn a_kill_loses_no_click_and_the_next_start_cleans_up() {
    let folder = Folder::new();
    let _cleanup = Cleanup(folder.path());
    let kurz = Kurz::start(folder.path()).await;
    let token = log_in(&kurz).await;
    make_link(&kurz, &token, "rust").await;
    let mut visits = 0;
    let mut kurz = kurz;
    for _ in 0..3 {
        for _ in 0..50 {
            visit(&kurz, "rust").await;
            visits += 1;
        }
        let orphan = kurz.nats_pid();
        kurz.kill();
        assert!(is_alive(orphan));
        kurz = Kurz::start(folder.path()).await;
        assert!(!is_alive(orphan));
    }
    let token = log_in(&kurz).await;
    assert_eq!(counted(&kurz, &token, "rust", visits).await, visits);
    visit(&kurz, "rust").await;
    assert_eq!(counted(&kurz, &token, "rust", visits + 1).await, visits + 1);
    assert!(kurz.terminate().success());
}

#[tokio::test]
async fn a_nats_server_that_dies_is_started_again() {
    let folder = Folder::new();
    let kurz = Kurz::start(folder.path()).await;
    let token = log_in(&kurz).await;
    make_link(&kurz, &token, "rust").await;
    let first = kurz.nats_pid();
    signal(first, Signal::KILL);
    for _ in 0..20 {
        visit(&kurz, "rust").await;
    }
    assert_eq!(counted(&kurz, &token, "rust", 20).await, 20);
    eventually(|| async { (kurz.nats_pid() != first).then_some(()) }).await;
    assert!(kurz.terminate().success());
}
