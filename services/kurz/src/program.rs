use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use chassis::database_file::RESTORE;

use crate::subscribers::{self, USUAL_NAME};

/// What needs no running process.
const OTHERS: &[(&str, &str)] = &[
    ("openapi", "print the description of the API"),
    ("restore auth|links|clicks [<backup> | --list]", RESTORE),
    (
        "secrets <folder> [--partitions <number>]",
        "make the keys and rights of services that run each for itself",
    ),
    (
        "subscriber <folder> <owner-id> [<name>] [--remove]",
        "let a program read the feed of one account",
    ),
];

/// The whole program: serves everything on one port, or does one of the other things that `kurz --help` names.
pub async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["openapi"] => answer(Ok(crate::api_document())),
        ["secrets", folder] => answer(secrets(folder, None)),
        ["secrets", folder, "--partitions", number] => answer(secrets(folder, Some(number))),
        ["subscriber", folder, owner, ref options @ ..] => {
            let folder = Path::new(folder);
            answer(match *options {
                [] => subscribers::add(folder, owner, USUAL_NAME).await,
                ["--remove"] => subscribers::remove(folder, owner, USUAL_NAME),
                [name] => subscribers::add(folder, owner, name).await,
                [name, "--remove"] => subscribers::remove(folder, owner, name),
                _ => Err(anyhow::anyhow!(
                    "kurz subscriber <folder> <owner-id> [<name>] [--remove]"
                )),
            })
        }
        _ => {
            if let ["restore", database, options @ ..] = &arguments[..]
                && let Some(code) = crate::restore::restore(database, options)
            {
                return code;
            }
            // On the heap: the future holds four services.
            let serve = Box::pin(crate::serve());
            chassis::service::program(crate::NAME, &crate::COMMANDS.concat(), OTHERS, serve).await
        }
    }
}

fn secrets(folder: &str, partitions: Option<&str>) -> anyhow::Result<String> {
    let partitions = partitions.map(str::parse).transpose();
    let partitions = partitions.context("--partitions is the number of partitions of analytics")?;
    crate::secrets::write(Path::new(folder), partitions)?;
    Ok(String::new())
}

/// Prints what was answered, or what is wrong.
fn answer(result: anyhow::Result<String>) -> ExitCode {
    let printed = result.and_then(|text| Ok(std::io::stdout().write_all(text.as_bytes())?));
    let Err(error) = printed else {
        return ExitCode::SUCCESS;
    };
    // Nothing can be done if standard error is gone.
    let _ = writeln!(std::io::stderr(), "{error:#}");
    ExitCode::FAILURE
}
