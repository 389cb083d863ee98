use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;
use maxminddb::Reader;
use serde::Deserialize;

/// A country as ISO 3166-1 alpha-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country([u8; 2]);

impl Country {
    fn parse(code: &str) -> Option<Self> {
        let code: [u8; 2] = code.as_bytes().try_into().ok()?;
        let is_code = code.iter().all(u8::is_ascii_alphabetic);
        is_code.then(|| Self(code.map(|letter| letter.to_ascii_uppercase())))
    }

    /// Two capital letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("two letters")
    }
}

/// A country database in MaxMind's format, wholly in memory.
pub struct Countries(Reader<Vec<u8>>);

/// The two shapes in which such databases keep a country: MaxMind's own, and the flat one of the
/// freely licensed files.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, default)]
    country: Option<Nested<'a>>,
    #[serde(borrow, default)]
    country_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Nested<'a> {
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

    /// The country of `address`, if the database knows it.
    pub fn of(&self, address: IpAddr) -> Option<Country> {
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
        Country::parse(code)
    }
}

impl std::fmt::Debug for Countries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Countries")
            .field(&self.0.metadata().database_type)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of one node: the lower half of IPv4 is in `record`, the upper half unknown.
    fn database(record: &[u8]) -> Vec<u8> {
        const NO_DATA: [u8; 3] = [0, 0, 1];
        const FIRST_RECORD: [u8; 3] = [0, 0, 1 + 16];
        let mut bytes = [FIRST_RECORD, NO_DATA].concat();
        bytes.extend([0; 16]);
        bytes.extend(record);
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        bytes.push(0xe9);
        for (name, value) in [
            ("binary_format_major_version", &[0xa1, 2][..]),
            ("binary_format_minor_version", &[0xa0]),
            ("build_epoch", &[0x01, 0x02, 1]),
            ("database_type", b"\x44Test"),
            ("description", &[0xe0]),
            ("ip_version", &[0xa1, 4]),
            ("languages", &[0x00, 0x04]),
            ("node_count", &[0xc1, 1]),
            ("record_size", &[0xa1, 24]),
        ] {
            bytes.extend(text(name));
            bytes.extend(value);
        }
        bytes
    }

    fn text(text: &str) -> Vec<u8> {
        let length = u8::try_from(text.len()).unwrap();
        let head = if length < 29 {
            vec![0x40 + length]
        } else {
            vec![0x40 + 29, length - 29]
        };
        [head, text.as_bytes().to_vec()].concat()
    }

    fn country(record: &[u8], address: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("countries.mmdb");
        std::fs::write(&path, database(record)).unwrap();
        let country = Countries::open(&path).unwrap().of(address.parse().unwrap());
        country.map(|country| country.as_str().to_owned())
    }

    #[test]
    fn both_shapes_of_database_are_read() {
        let flat = [vec![0xe1], text("country_code"), text("DE")].concat();
        let nested = [
            vec![0xe1],
            text("country"),
            vec![0xe1],
            text("iso_code"),
            text("DE"),
        ]
        .concat();
        for record in [flat, nested] {
            assert_eq!(country(&record, "10.0.0.1").as_deref(), Some("DE"));
            assert_eq!(country(&record, "::ffff:10.0.0.1").as_deref(), Some("DE"));
            assert_eq!(country(&record, "203.0.113.1"), None);
            assert_eq!(country(&record, "2001:db8::1"), None);
        }
    }

    #[test]
    fn what_is_no_country_code_is_no_country() {
        for code in ["", "D", "DEU", "1A"] {
            let record = [vec![0xe1], text("country_code"), text(code)].concat();
            assert_eq!(country(&record, "10.0.0.1"), None, "{code:?}");
        }
        assert!(Countries::open(Path::new("/nowhere/countries.mmdb")).is_err());
    }
}
