//! Three partitions of analytics: three processes with three databases behind one redirector.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

mod program;

use std::collections::{BTreeMap, BTreeSet};

use chassis::testing::eventually;
use events::{Partition, streams};
use reqwest::StatusCode;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use uuid::Uuid;

use program::{Bench, COUNT, Owner};

/// What each visitor of the redirector leaves is counted in the partition of the link's owner, and
/// nowhere else; whoever is asked answers it.
#[tokio::test(flavor = "multi_thread")]
async fn every_click_is_counted_once_in_its_partition_and_shown_by_each() {
    let bench = Bench::start().await;
    let programs = bench.all().await;
    let owners = bench.owners(2).await;
    for (index, owner) in owners.iter().enumerate() {
        bench.visit(owner, index + 1).await;
    }
    for (index, owner) in owners.iter().enumerate() {
        for program in &programs {
            bench.counted(program, owner, index + 1).await;
        }
    }
    // No process was asked to stop: the files are read as they are.
    let mut seen = BTreeMap::new();
    for partition in Partition::all(COUNT) {
        for (owner, clicks) in clicks_by_owner(&bench, partition) {
            assert!(partition.holds(owner), "{owner} is not in {partition}");
            assert!(seen.insert(owner, clicks).is_none(), "{owner} twice");
        }
    }
    let expected: BTreeMap<_, _> = (1..)
        .zip(&owners)
        .map(|(clicks, owner)| (owner.id, clicks))
        .collect();
    assert_eq!(seen, expected);
    // Each counts the one spool that is its own, and says so when it is asked to audit.
    for program in &programs {
        let (status, text) = program.audit().await;
        assert_eq!(status, StatusCode::OK, "{text}");
        assert!(text.contains("all 1 spools"), "{text}");
        assert!(text.contains("nothing is missing"), "{text}");
    }
    let streams = bench.streams().await;
    for partition in Partition::all(COUNT) {
        let name = streams::CLICKS.name_in(partition).into_owned();
        assert!(streams.contains(&name), "{streams:?}");
    }
    assert!(!streams.contains("CLICKS"), "{streams:?}");
}

fn clicks_by_owner(bench: &Bench, partition: Partition) -> Vec<(Uuid, u64)> {
    let path = bench.database(partition);
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut sums = database
        .prepare("SELECT owner_id, humans FROM account")
        .unwrap();
    let rows = sums.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
    rows.unwrap()
        .map(|row| row.map(|(owner, clicks)| (owner, clicks.cast_unsigned())))
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Dies while clicks come: its clicks wait in its stream, those of others do not.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_dies_is_in_nobodys_way_and_loses_nothing() {
    let bench = Bench::start().await;
    let mut programs = bench.all().await;
    let owners = bench.owners(1).await;
    for owner in &owners {
        bench.visit(owner, 3).await;
        bench.counted(&programs[0], owner, 3).await;
    }
    programs.remove(1).kill();
    let (first, third) = (&programs[0], &programs[1]);
    for owner in &owners {
        bench.visit(owner, 4).await;
    }
    for owner in owners.iter().filter(|owner| owner.partition.number() != 1) {
        bench.counted(first, owner, 7).await;
        bench.counted(third, owner, 7).await;
    }
    let owner = &owners[1];
    let answer = first.get(owner, "/summary").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
    let content_type = &answer.headers()["content-type"];
    assert_eq!(content_type, "application/problem+json");
    let second = bench.begin(owner.partition).await;
    bench.counted(first, owner, 7).await;
    for program in [first, &second, third] {
        assert_eq!(program.audit().await.0, StatusCode::OK);
    }
}

/// Live streams, with a token and with a ticket, at a partition that is not the owner's.
#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_may_be_opened_anywhere() {
    let bench = Bench::start().await;
    let mut programs = bench.all().await;
    let owners = bench.owners(1).await;
    let owner = &owners[2];
    let mut by_token = programs[0].watch(owner).await;
    let ticket = programs[1].ticket(owner).await;
    let mut by_ticket = programs[0].redeem(&ticket).await;
    bench.visit(owner, 2).await;
    bench.visit(&owners[1], 1).await;
    for stream in [&mut by_token, &mut by_ticket] {
        stream.clicks(2).await;
    }
    // It was good once, wherever; and one of nowhere is good nowhere.
    for strange in [ticket.as_str(), "9-abc", "abc", "1-abc"] {
        let status = programs[1].try_redeem(strange).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{strange}");
    }
    // Elsewhere it says nothing: the token does.
    let summary = programs[0].get(owner, "/summary?ticket=1-abc").send().await;
    let summary: serde_json::Value = summary.unwrap().json().await.unwrap();
    assert!(
        summary["clicks"] == 2 || summary["status"] == 422,
        "{summary}"
    );
    // Whoever passes a stream on does not hold up its own end for it.
    let status = programs.remove(0).terminate().await;
    assert!(status.success(), "{status}");
    by_token.ended().await;
    // The other end is as it was.
    bench.visit(owner, 1).await;
    bench.counted(&programs[0], owner, 3).await;
}

/// What is passed on is what came: the body, the id of the request, and refusals.
#[tokio::test(flavor = "multi_thread")]
async fn requests_are_passed_on_as_they_are() {
    let bench = Bench::start().await;
    let programs = bench.all().await;
    let owners = bench.owners(1).await;
    for (owner, program) in owners.iter().zip(programs.iter().cycle().skip(1)) {
        let answer = program
            .put(owner, "/feed")
            .json(&json!({ "enabled": true }))
            .header("x-request-id", "an-id-of-mine")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["x-request-id"], "an-id-of-mine");
        let feed: serde_json::Value = answer.json().await.unwrap();
        let number = owner.partition.number();
        assert_eq!(feed["stream"], format!("FEED_{number}_OF_3"));
        assert_eq!(feed["subject"], format!("feed.v1.{number}.{}.>", owner.id));
        for (path, status) in [
            ("/links/no-such-link", StatusCode::NOT_FOUND),
            ("/links?limit=0", StatusCode::UNPROCESSABLE_ENTITY),
            ("/nothing", StatusCode::NOT_FOUND),
        ] {
            let answer = program.get(owner, path).send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
        }
        let large = program.put(owner, "/feed").body("x".repeat(70_000));
        let answer = large.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let stranger = program.stranger("/summary").await;
        assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
        // The feed is in the stream of its partition, once for each click.
        bench.visit(owner, 2).await;
        eventually(|| async { (bench.fed(owner).await >= 2).then_some(()) }).await;
        assert_eq!(bench.fed(owner).await, 2);
    }
}

/// A request that was passed on is not passed on again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_round_in_circles() {
    let bench = Bench::start().await;
    let programs = bench.all().await;
    let owners = bench.owners(1).await;
    let marked = async |owner: &Owner, mark: &'static str| {
        let request = programs[0].get(owner, "/summary");
        let answer = request.header("kurz-partition", mark).send().await;
        answer.unwrap().status()
    };
    assert_eq!(marked(&owners[0], "0 of 3").await, StatusCode::OK);
    for (owner, mark) in [
        (&owners[0], "1 of 3"),
        (&owners[0], "0 of 2"),
        (&owners[1], "0 of 3"),
        (&owners[1], "1 of 3"),
    ] {
        let status = marked(owner, mark).await;
        assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{mark}");
    }
    // One that looks for every partition where the first one is.
    let mut programs = programs;
    assert!(programs.pop().unwrap().terminate().await.success());
    let urls = format!("http://{{partition}}@127.0.0.10:{}", bench.port());
    let astray = bench.begin_with(owners[2].partition, urls).await;
    let answer = astray.get(&owners[0], "/summary").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer = astray.get(&owners[1], "/summary").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(astray.log().contains("is not partition 1 of 3"));
}

/// A database or a bus that was divided otherwise ends the process before it counts anything.
#[tokio::test(flavor = "multi_thread")]
async fn another_division_is_refused() {
    let bench = Bench::start().await;
    let programs = bench.all().await;
    let owners = bench.owners(1).await;
    bench.visit(&owners[0], 1).await;
    bench.counted(&programs[0], &owners[0], 1).await;
    for program in programs {
        assert!(program.terminate().await.success());
    }
    let streams: BTreeSet<String> = bench.streams().await;
    let of = |number, of| Partition::new(number, of).unwrap();
    for (database, partition, words) in [
        // Another part's database.
        (Some(of(0, 3)), of(1, 3), "is of partition 0 of 3"),
        (Some(of(0, 3)), of(0, 4), "is of partition 0 of 3"),
        (Some(of(0, 3)), Partition::WHOLE, "is of partition 0 of 3"),
        // A new database, beside streams of three.
        (None, Partition::WHOLE, "its subjects are taken"),
        (None, of(0, 2), "the streams are of another division"),
        (None, of(3, 4), "the streams are of another division"),
    ] {
        let mut program = bench.refused(database, partition);
        let status = program.ended().await;
        let log = program.log();
        assert!(!status.success(), "{partition}: {log}");
        assert!(log.contains(words), "{partition}: {log}");
    }
    assert_eq!(bench.streams().await, streams);
    // Nothing was harmed.
    let first = bench.begin(of(0, 3)).await;
    bench.counted(&first, &owners[0], 1).await;
}

/// Whoever divides otherwise and gets past the streams' names: it is not counted where nobody would
/// ever see it.
#[tokio::test(flavor = "multi_thread")]
async fn a_click_in_the_wrong_partition_is_set_aside() {
    let bench = Bench::start().await;
    let programs = bench.all().await;
    let owners = bench.owners(1).await;
    bench.publish_for(&owners[1], owners[0].partition).await;
    let list = eventually(|| async {
        let list = programs[0].dead_letters().await;
        list.contains("\n1 messages").then_some(list)
    });
    let list = list.await;
    assert!(
        list.contains(&format!("{} is not in partition 0 of 3", owners[1].id)),
        "{list}"
    );
    let (status, text) = programs[0].audit().await;
    assert_eq!(status, StatusCode::CONFLICT, "{text}");
    assert!(text.contains("1 messages are set aside"), "{text}");
    // It is nothing to the others.
    assert!(programs[1].dead_letters().await.contains("\n0 messages"));
    let (status, text) = programs[1].audit().await;
    assert_eq!(status, StatusCode::OK, "{text}");
    bench.counted(&programs[2], &owners[1], 0).await;
}

/// A code that goes from one account to another of another partition while nobody looks.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_moves_to_another_partition_is_gone_where_it_was() {
    let bench = Bench::start().await;
    let mut programs = bench.all().await;
    let owners = bench.owners(1).await;
    for owner in &owners {
        bench.has_links(&programs[2], owner, 1).await;
    }
    programs.remove(0).kill();
    bench.move_code(&owners[0], &owners[1]).await;
    bench.has_links(&programs[0], &owners[1], 2).await;
    let first = bench.begin(owners[0].partition).await;
    bench.has_links(&first, &owners[0], 0).await;
    bench.has_links(&first, &owners[2], 1).await;
}

/// From one to three, as docs/operations.md says: redirects go on, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn one_can_be_divided() {
    let bench = Bench::start().await;
    let whole = bench.undivided().await;
    let owners = bench.owners(1).await;
    let before = bench.undivided_redirector().await;
    for (owner, clicks) in owners.iter().zip(1..) {
        bench.visit_at(&before, owner, clicks).await;
        bench.counted(&whole, owner, clicks).await;
    }
    // The redirectors first: what the new ones record waits, what the old ones left is counted.
    for owner in &owners {
        bench.visit(owner, 10).await;
    }
    before.stop().await;
    let (status, text) = whole.audit().await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(whole.terminate().await.success());
    bench.delete_streams(&["CLICKS", "FEED"]).await;
    for partition in Partition::all(COUNT) {
        bench.divide(partition);
    }
    let programs = bench.all().await;
    for (owner, clicks) in owners.iter().zip(1..) {
        for program in &programs {
            bench.counted(program, owner, clicks + 10).await;
        }
    }
    for program in &programs {
        let (status, text) = program.audit().await;
        assert_eq!(status, StatusCode::OK, "{text}");
    }
}
