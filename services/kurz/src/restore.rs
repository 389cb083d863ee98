use std::process::ExitCode;

use chassis::env::Env;
use chassis::service::{self, Service as _};

use crate::settings::Settings;
use crate::stack::{NAME, place};

/// The command `restore` on the database of this name in the data folder; none if there is no such
/// database, or if the options make no sense.
pub fn restore(database: &str, options: &[&str]) -> Option<ExitCode> {
    let schemas = [
        auth::App::DATABASE,
        shortener::App::DATABASE,
        analytics::App::DATABASE,
    ];
    let mut known = schemas.iter().flatten();
    let schema = known.find(|schema| schema.name == database)?;
    let mut env = Env::from_process(NAME);
    let data = Settings::data(&mut env);
    let file = place(&data, &format!("{database}.db"));
    service::restore(env.derive([("KURZ_DATABASE", file)]), schema, options)
}
