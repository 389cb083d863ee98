use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;
use maxminddb::Reader;
use serde::Deserialize;

/// A country database in MaxMind's format, wholly in memory.
pub struct Countries(Reader<Vec<u8>>);

/// The two shapes in which such databases keep a country: MaxMind's own, and the flat one of the
/// freely licensed files.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, default)]
    country: Option<Country<'a>>,
    #[serde(borrow, default)]
    country_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Country<'a> {
    #[serde(borrow, default)]
    iso_code: Option<&'a str>,
}

impl Countries {
    /// Reads the database at `path`.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let reader = Reader::open_readfile(path)
            .with_context(|| format!("can't read the country database {}", path.display()))?;
        Ok(Self(reader))
    }

    /// The country of `address` as ISO 3166-1 alpha-2, if the database knows it.
    pub fn of(&self, address: IpAddr) -> Option<String> {
        let record: Record = self
            .0
            .lookup(address.to_canonical())
            .ok()?
            .decode()
            .ok()??;
        let code = record
            .country
            .and_then(|country| country.iso_code)
            .or(record.country_code)?;
        let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_code.then(|| code.to_ascii_uppercase())
    }
}

impl std::fmt::Debug for Countries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Countries")
            .field(&self.0.metadata().database_type)
            .finish()
    }
}
