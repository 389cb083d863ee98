//! Load that wrk can't make: requests at a fixed rate, and a backlog of clicks. Called by
//! `tests/bench/run.py`; prints one JSON object.

mod clicks;
mod connection;
mod pace;
mod people;

use std::process::ExitCode;

use anyhow::{Context as _, bail};

const USAGE: &str = "\
bench pace <address> <rate> <connections> <seconds> <request>...
    sends requests from a schedule, and says how long each answer took. <request>:
    follow <links>             a visitor of one of the links c0, c1, ...
    get <path> <token>         a caller of an API
    change <links> <token>     a new address for one of the links, by PATCH
    idle                       nothing: only holds connections open
    slow                       a byte of a request each second
bench log-ins <address> <people> <seconds> <users> <password>
    people who log in again and again, as users named bench-0, bench-1, ...
bench clicks <NATS> <clicks> <links> <owner> <now in ms>
    publishes batches of clicks as redirectors do, as fast as the stream takes them";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(report) => {
            say(&mut std::io::stdout(), &report.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&mut std::io::stderr(), &format!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn say(to: &mut impl std::io::Write, line: &str) {
    // Nobody is left to tell that nobody listens.
    let _ = writeln!(to, "{line}");
}

fn run(words: &[&str]) -> anyhow::Result<serde_json::Value> {
    // One thread: what the load takes must not spread over the cores of what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match words {
        ["pace", address, rate, connections, seconds, request @ ..] => {
            let plan = pace::Plan {
                address: address.parse().context("no address")?,
                rate: rate.parse().context("no rate")?,
                connections: connections.parse().context("no number of connections")?,
                seconds: seconds.parse().context("no number of seconds")?,
                request: pace::Request::parse(request).context(USAGE)?,
            };
            runtime.block_on(pace::run(plan))
        }
        ["log-ins", address, people, seconds, users, password] => {
            let crowd = people::Crowd {
                address: address.parse().context("no address")?,
                people: people.parse().context("no number of people")?,
                seconds: seconds.parse().context("no number of seconds")?,
                users: users.parse().context("no number of users")?,
                password: (*password).to_owned(),
            };
            runtime.block_on(people::log_in(crowd))
        }
        ["clicks", nats, clicks, links, owner, now] => {
            let backlog = clicks::Backlog {
                clicks: clicks.parse().context("no number of clicks")?,
                links: links.parse().context("no number of links")?,
                owner_id: owner.parse().context("no owner")?,
                now_ms: now.parse().context("no time")?,
            };
            runtime.block_on(clicks::publish(nats, &backlog))
        }
        _ => bail!("{USAGE}"),
    }
}
