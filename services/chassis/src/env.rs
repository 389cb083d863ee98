//! Typed environment variables; every fault is reported, all at once.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::str::FromStr;

use zeroize::Zeroizing;

/// The environment of one program, and the faults that were found in it so far.
#[derive(Debug)]
pub struct Env {
    program: String,
    variables: HashMap<String, String>,
    faults: Vec<String>,
}

/// Everything that is wrong with the configuration, on one line.
#[derive(Debug, thiserror::Error)]
#[error("{program}: {}", faults.join("; "))]
pub struct Faults {
    program: String,
    faults: Vec<String>,
}

/// A value that is never printed and is wiped from memory when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Env {
    /// The environment of this process. Variables that are not Unicode are left out.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn from_process(program: &str) -> Self {
        let unicode = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::from_pairs(program, unicode)
    }

    /// An environment made of `pairs`, for tests and for programs that hold several services.
    pub fn from_pairs(program: &str, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            program: program.to_owned(),
            variables: pairs.into_iter().collect(),
            faults: Vec::new(),
        }
    }

    /// The same environment for a part of this program, with some variables set otherwise.
    #[must_use]
    pub fn derive<'a>(&self, overrides: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let mut variables = self.variables.clone();
        variables.extend(
            overrides
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        Self {
            program: self.program.clone(),
            variables,
            faults: Vec::new(),
        }
    }

    /// Takes over the faults that were noted in a derived environment.
    pub fn absorb(&mut self, derived: Self) {
        for fault in derived.faults {
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
        }
    }

    /// A variable that must be there. None if it is missing or malformed, which is noted.
    pub fn required<T: FromStr>(&mut self, name: &str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        if self.raw(name).is_none() {
            self.fault(name, "is missing");
            return None;
        }
        self.optional(name)
    }

    /// A variable that may be missing. A malformed one is noted.
    pub fn optional<T: FromStr>(&mut self, name: &str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        let raw = self.raw(name)?.to_owned();
        match raw.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(name, &format!("{raw:?}: {error}"));
                None
            }
        }
    }

    /// A variable, or `default` if it is missing. A malformed one is noted.
    pub fn or<T: FromStr>(&mut self, name: &str, default: T) -> T
    where
        T::Err: fmt::Display,
    {
        self.optional(name).unwrap_or(default)
    }

    /// A secret from the variable `name`, or from the file that `name_FILE` names (without the
    /// line break at its end).
    pub fn secret(&mut self, name: &str) -> Option<Secret> {
        if let Some(value) = self.raw(name) {
            return Some(Secret::from(value.to_owned()));
        }
        let file_variable = format!("{name}_FILE");
        let path = self.raw(&file_variable)?.to_owned();
        match fs::read_to_string(&path) {
            Ok(value) if !value.trim_end().is_empty() => {
                Some(Secret::from(value.trim_end().to_owned()))
            }
            Ok(_) => {
                self.fault(&file_variable, &format!("the file {path:?} is empty"));
                None
            }
            Err(error) => {
                self.fault(&file_variable, &format!("can't read {path:?}: {error}"));
                None
            }
        }
    }

    /// A secret that must be there. None if it is missing, which is noted.
    pub fn required_secret(&mut self, name: &str) -> Option<Secret> {
        let faults = self.faults.len();
        let secret = self.secret(name);
        if secret.is_none() && self.faults.len() == faults {
            self.fault(
                name,
                &format!("is missing ({name}_FILE may name a file instead)"),
            );
        }
        secret
    }

    /// Notes a fault of the variable `name`; `text` goes on where the name ends.
    pub fn fault(&mut self, name: &str, text: &str) {
        self.faults.push(format!("{name} {text}"));
    }

    /// The configuration, or every fault that was noted while it was read.
    pub fn finish<C>(self, config: Option<C>) -> Result<C, Faults> {
        match config {
            Some(config) if self.faults.is_empty() => Ok(config),
            _ => Err(Faults {
                program: self.program,
                faults: self.faults,
            }),
        }
    }

    /// The variable as it stands; an empty one counts as missing.
    fn raw(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

impl Secret {
    /// The secret itself: for the place that needs it, and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Env::from_pairs("shortener", pairs)
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let mut env = env(&[("KURZ_LISTEN", "80a")]);
        let database = env.required::<String>("KURZ_DATABASE");
        let listen = env.required::<std::net::SocketAddr>("KURZ_LISTEN");
        let faults = env.finish(database.zip(listen)).unwrap_err().to_string();
        assert!(faults.starts_with("shortener: KURZ_DATABASE is missing; KURZ_LISTEN \"80a\""));
    }

    #[test]
    fn a_fault_that_two_parts_share_is_told_once() {
        let mut env = env(&[("KURZ_PARTITIONS", "many")]);
        for data in ["a.db", "b.db"] {
            let mut part = env.derive([("KURZ_DATABASE", data.to_owned())]);
            assert_eq!(part.required::<String>("KURZ_DATABASE").unwrap(), data);
            assert_eq!(part.optional::<u32>("KURZ_PARTITIONS"), None);
            env.absorb(part);
        }
        let faults = env.finish(Some(())).unwrap_err().to_string();
        assert_eq!(faults.matches("KURZ_PARTITIONS").count(), 1, "{faults}");
    }

    #[test]
    fn an_empty_variable_is_a_missing_one() {
        let mut env = env(&[("KURZ_PARTITIONS", "")]);
        assert_eq!(env.or("KURZ_PARTITIONS", 7), 7);
    }

    #[test]
    fn a_secret_comes_from_its_file_and_is_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("salt");
        fs::write(&path, "pepper\n").unwrap();
        let mut env = env(&[("KURZ_VISITOR_SALT_FILE", path.to_str().unwrap())]);
        let secret = env.required_secret("KURZ_VISITOR_SALT").unwrap();
        assert_eq!(secret.expose(), "pepper");
        assert!(!format!("{secret:?}").contains("pepper"));
    }

    #[test]
    fn a_secret_file_that_is_missing_is_one_fault() {
        let mut env = env(&[("KURZ_VISITOR_SALT_FILE", "/nowhere/salt")]);
        assert!(env.required_secret("KURZ_VISITOR_SALT").is_none());
        let faults = env.finish(None::<()>).unwrap_err().to_string();
        assert_eq!(faults.matches("KURZ_VISITOR_SALT").count(), 1, "{faults}");
    }
}
