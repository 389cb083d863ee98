use std::process::Command;

/// Everything that is killed here is this program, called by the name of a service.
const CRASH: &str = env!("CARGO_BIN_EXE_crash");

#[test]
fn every_answered_click_is_counted_once_whatever_is_killed() {
    // A short run; `make test-crash` makes long ones.
    run("--seed 1 --faults 12 --rate 300 --clients 12 --links 16");
}

#[test]
fn a_spool_that_is_too_small_says_how_many_clicks_it_dropped() {
    let table = run("--scenario full --faults 1 --rate 400 --spool-bytes 131072 --links 16");
    assert!(
        table.contains("clicks that redirectors said they dropped"),
        "{table}"
    );
}

/// The table of a run in which every guarantee held.
fn run(words: &str) -> String {
    let run = Command::new(CRASH)
        .args(words.split(' '))
        .output()
        .expect("the program starts");
    let table = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        run.status.success(),
        "{table}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
    table
}
