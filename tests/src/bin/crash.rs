//! Kills kurz at random while it is in use, and counts afterwards: `crash --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    e2e::crash::main()
}
