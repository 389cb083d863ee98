use std::ops::Deref;

use axum::http::HeaderValue;
use events::{LinkRecord, LinkState};
use url::Url;
use uuid::Uuid;

/// A link in one allocation: a head of fixed size, then what varies.
///
/// ```text
/// 0      round of the last full read that saw it
/// 1      flags: disabled, valid_from, valid_until, fallback
/// 2      length of the code
/// 3..5   redirect status
/// 5..9   length of the URL
/// 9..25  link id       25..41 owner id      41..49 version
/// 49..   [valid_from] [valid_until] code URL [fallback URL]
/// ```
///
/// Numbers are little-endian. The same bytes stand in the snapshot.
#[derive(Clone, PartialEq, Eq)]
pub struct Link<B = Box<[u8]>>(B);

/// A link in somebody else's bytes.
pub type LinkRef<'a> = Link<&'a [u8]>;

/// The longest URL that a link may have, in bytes: what the shortener takes, with room for the
/// percent-encoding of names that are not ASCII.
const MAX_URL: usize = 32 * 1024;
/// The longest code, in bytes.
pub const MAX_CODE: usize = 64;

const HEAD: usize = 49;
const DISABLED: u8 = 1;
const VALID_FROM: u8 = 1 << 1;
const VALID_UNTIL: u8 = 1 << 2;
const FALLBACK: u8 = 1 << 3;

/// Whether a link may be followed at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// It may.
    Open,
    /// Its time has not come; nobody is told that it exists.
    NotYet,
    /// It is disabled or its time is over.
    Closed,
}

/// Why a record can't be a link.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unusable {
    /// The code is not 1 to 64 of `A-Z a-z 0-9 _ -`.
    #[error("its code is malformed")]
    Code,
    /// A URL is not an absolute http or https URL of sensible length.
    #[error("its {0} is not a usable http or https address")]
    Url(&'static str),
}

/// Whether `code` can be a code at all: 1 to 64 of `A-Z a-z 0-9 _ -`.
pub fn is_code(code: &str) -> bool {
    (1..=MAX_CODE).contains(&code.len())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

impl Link {
    /// Packs a record. Whatever comes over the bus, a link only ever leads to http or https.
    pub fn pack(record: &LinkRecord) -> Result<Self, Unusable> {
        if !is_code(&record.code) {
            return Err(Unusable::Code);
        }
        let url = usable(&record.url).ok_or(Unusable::Url("url"))?;
        let fallback = match &record.fallback_url {
            Some(text) => Some(usable(text).ok_or(Unusable::Url("fallback_url"))?),
            None => None,
        };
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(record.state == LinkState::Disabled, DISABLED)
            | flag(record.valid_from_ms.is_some(), VALID_FROM)
            | flag(record.valid_until_ms.is_some(), VALID_UNTIL)
            | flag(fallback.is_some(), FALLBACK);

        let times = [record.valid_from_ms, record.valid_until_ms];
        let fallback = fallback.unwrap_or_default();
        // Exactly, since an allocator may leave what becomes a little smaller where it is.
        let mut bytes = Vec::with_capacity(
            HEAD + times.iter().flatten().count() * size_of::<i64>()
                + record.code.len()
                + url.len()
                + fallback.len(),
        );
        bytes.extend([
            0,
            flags,
            u8::try_from(record.code.len()).expect("at most 64"),
        ]);
        bytes.extend(record.redirect_status.to_le_bytes());
        bytes.extend(
            u32::try_from(url.len())
                .expect("at most MAX_URL")
                .to_le_bytes(),
        );
        bytes.extend(record.link_id.as_bytes());
        bytes.extend(record.owner_id.as_bytes());
        bytes.extend(record.version.to_le_bytes());
        for time in times.into_iter().flatten() {
            bytes.extend(time.to_le_bytes());
        }
        bytes.extend(record.code.as_bytes());
        bytes.extend(url.as_bytes());
        bytes.extend(fallback.as_bytes());
        debug_assert_eq!(bytes.len(), bytes.capacity(), "no more than it takes");
        Ok(Self(bytes.into_boxed_slice()))
    }

    /// Takes bytes that [`Link::bytes`] gave; none if they can't be such.
    pub fn from_bytes(bytes: Box<[u8]>) -> Option<Self> {
        if bytes.len() < HEAD {
            return None;
        }
        let link = Self(bytes);
        let code = link.code_at();
        let url = code + link.code_len();
        let end = url.checked_add(link.url_len())?;
        let fits = if link.has(FALLBACK) {
            end < link.0.len()
        } else {
            end == link.0.len()
        };
        let tail = link.0.get(code..)?;
        (fits
            && tail.iter().all(u8::is_ascii_graphic)
            && is_code(link.code())
            && is_web(link.url())
            && link.fallback_url().is_none_or(is_web))
        .then_some(link)
    }

    /// Copies it to `to`, whatever was there.
    pub fn copy_to<'a>(&self, to: &'a mut Vec<u8>) -> LinkRef<'a> {
        to.clear();
        to.extend_from_slice(&self.0);
        Link(to)
    }

    /// Marks it as seen in a round.
    pub fn set_round(&mut self, round: u8) {
        self.0[0] = round;
    }
}

impl<'a> LinkRef<'a> {
    /// Where it leads; visible ASCII only.
    pub fn into_url(self) -> &'a str {
        let start = self.code_at() + self.code_len();
        text(&self.0[start..start + self.url_len()])
    }

    /// Where it leads once it is closed.
    pub fn into_fallback_url(self) -> Option<&'a str> {
        let start = self.code_at() + self.code_len() + self.url_len();
        self.has(FALLBACK).then(|| text(&self.0[start..]))
    }
}

impl<B: Deref<Target = [u8]>> Link<B> {
    /// The bytes for the snapshot.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it stands under this code.
    pub fn is_under(&self, code: &str) -> bool {
        let start = self.code_at();
        self.0[start..start + self.code_len()] == *code.as_bytes()
    }

    /// The code under which it stands.
    pub fn code(&self) -> &str {
        self.text(self.code_at(), self.code_len())
    }

    /// Where it leads; visible ASCII only.
    pub fn url(&self) -> &str {
        self.text(self.code_at() + self.code_len(), self.url_len())
    }

    /// Where it leads once it is closed.
    pub fn fallback_url(&self) -> Option<&str> {
        let start = self.code_at() + self.code_len() + self.url_len();
        self.has(FALLBACK)
            .then(|| self.text(start, self.0.len() - start))
    }

    /// The link's own id.
    pub fn link_id(&self) -> Uuid {
        Uuid::from_bytes(self.array(9))
    }

    /// Whose it is.
    pub fn owner_id(&self) -> Uuid {
        Uuid::from_bytes(self.array(25))
    }

    /// Grows with each change of this link.
    pub fn version(&self) -> u64 {
        u64::from_le_bytes(self.array(41))
    }

    /// The status with which it redirects.
    pub fn redirect_status(&self) -> u16 {
        u16::from_le_bytes(self.array(3))
    }

    /// Whether it may be followed at `now_ms`, in milliseconds since 1970.
    pub fn openness(&self, now_ms: i64) -> Openness {
        let from = self
            .has(VALID_FROM)
            .then(|| i64::from_le_bytes(self.array(HEAD)));
        let until_at = if self.has(VALID_FROM) { HEAD + 8 } else { HEAD };
        let until = self
            .has(VALID_UNTIL)
            .then(|| i64::from_le_bytes(self.array(until_at)));
        if from.is_some_and(|from| now_ms < from) {
            Openness::NotYet
        } else if self.has(DISABLED) || until.is_some_and(|until| now_ms >= until) {
            Openness::Closed
        } else {
            Openness::Open
        }
    }

    /// The round of the last full read that saw it.
    pub fn round(&self) -> u8 {
        self.0[0]
    }

    fn has(&self, flag: u8) -> bool {
        self.0[1] & flag != 0
    }

    fn code_at(&self) -> usize {
        HEAD + 8 * usize::from(self.has(VALID_FROM)) + 8 * usize::from(self.has(VALID_UNTIL))
    }

    fn code_len(&self) -> usize {
        usize::from(self.0[2])
    }

    fn url_len(&self) -> usize {
        u32::from_le_bytes(self.array(5)) as usize
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0[at..at + N].try_into().expect("N bytes are N bytes")
    }

    fn text(&self, at: usize, length: usize) -> &str {
        text(&self.0[at..at + length])
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("both constructors took ASCII only")
}

impl<B: Deref<Target = [u8]>> std::fmt::Debug for Link<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("code", &self.code())
            .field("url", &self.url())
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

/// The address as it can stand in a `Location` header: visible ASCII.
fn usable(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && is_web(text);
    let url = if plain {
        text.to_owned()
    } else {
        String::from(Url::parse(text).ok()?)
    };
    (url.len() <= MAX_URL && is_web(&url) && HeaderValue::from_str(&url).is_ok()).then_some(url)
}

fn is_web(url: &str) -> bool {
    let starts = |scheme: &str| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && url.len() > scheme.len()
    };
    starts("http://") || starts("https://")
}

#[cfg(test)]
mod tests;
