//! Clicks inside a batch: what several of them have in common is written once.
//!
//! ```text
//! in the spool   link_id, owner_id, code, at_ms, hints, referrer, user_agent, language, country, visitor
//! in a batch     link,             after_ms, hints, referrer, user_agent, language, country, visitor
//! ```
//!
//! `link` and the four texts are indices into the batch's lists, `after_ms` counts from its
//! `since_ms`. A reader of before the lists finds a number where it needs an id, and takes no click
//! of the batch for another one.

use std::fmt;

use rmp::{Marker, decode, encode};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use uuid::Uuid;

use super::Click;
use super::positional::{FIELDS, behind_link_id, next, skip_the_rest};

/// A click as it stands in a batch.
pub(super) enum Item {
    /// As in the spool.
    Plain(Box<Click>),
    /// With references.
    Compact(Compact),
}

/// A click with references.
pub(super) struct Compact {
    pub(super) link: usize,
    pub(super) after_ms: i64,
    pub(super) hints: u16,
    pub(super) referrer: usize,
    pub(super) user_agent: usize,
    pub(super) language: usize,
    pub(super) country: Option<usize>,
    pub(super) visitor: u64,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Item;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array with the fields of a click")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Item, A::Error> {
        let link = match next(&mut fields, "link")? {
            Link::Id(link_id) => {
                return Ok(Item::Plain(Box::new(behind_link_id(link_id, fields)?)));
            }
            Link::At(index) => index,
        };
        let compact = Compact {
            link,
            after_ms: next(&mut fields, "after_ms")?,
            hints: next(&mut fields, "hints")?,
            referrer: next(&mut fields, "referrer")?,
            user_agent: next(&mut fields, "user_agent")?,
            language: next(&mut fields, "language")?,
            country: next(&mut fields, "country")?,
            visitor: next(&mut fields, "visitor")?,
        };
        skip_the_rest(fields)?;
        Ok(Item::Compact(compact))
    }
}

/// The first field says which kind of click it is.
enum Link {
    Id(Uuid),
    At(usize),
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdOrIndex)
    }
}

struct IdOrIndex;

impl Visitor<'_> for IdOrIndex {
    type Value = Link;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the id or the index of a link")
    }

    fn visit_u64<E: Error>(self, index: u64) -> Result<Link, E> {
        usize::try_from(index).map(Link::At).map_err(E::custom)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Link, E> {
        Uuid::from_slice(bytes).map(Link::Id).map_err(E::custom)
    }
}

/// Where the fields of a click are that is encoded as in the spool. They are copied as they are.
struct Encoded<'a> {
    /// `link_id`, `owner_id` and `code`.
    link: &'a [u8],
    link_id: &'a [u8],
    owner_id: &'a [u8],
    code: &'a [u8],
    at_ms: i64,
    hints: &'a [u8],
    referrer: &'a [u8],
    user_agent: &'a [u8],
    language: &'a [u8],
    country: Option<&'a [u8]>,
    visitor: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// None if it is not as this version writes it.
    fn read(click: &'a [u8]) -> Option<Self> {
        let (&head, mut rest) = click.split_first()?;
        let fields = rest;
        let (link_id, owner_id) = (take_id(&mut rest)?, take_id(&mut rest)?);
        let code = take_text(&mut rest)?;
        let link = &fields[..fields.len() - rest.len()];
        let encoded = Self {
            link,
            link_id,
            owner_id,
            code,
            at_ms: decode::read_int(&mut rest).ok()?,
            hints: take_number(&mut rest)?,
            referrer: take_text(&mut rest)?,
            user_agent: take_text(&mut rest)?,
            language: take_text(&mut rest)?,
            country: match rest.first()? {
                0xc0 => {
                    rest = &rest[1..];
                    None
                }
                _ => Some(take_text(&mut rest)?),
            },
            visitor: take_number(&mut rest)?,
        };
        (head == 0x90 | FIELDS && rest.is_empty()).then_some(encoded)
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn take_id<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let id = take(bytes, 18)?;
    (id[..2] == [0xc4, 16]).then_some(id)
}

/// A text with its length before it.
fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = match (Marker::from_u8(*bytes.first()?), bytes.get(1..)?) {
        (Marker::FixStr(length), _) => 1 + usize::from(length),
        (Marker::Str8, [length, ..]) => 2 + usize::from(*length),
        (Marker::Str16, [high, low, ..]) => 3 + usize::from(u16::from_be_bytes([*high, *low])),
        _ => return None,
    };
    take(bytes, length)
}

/// A number that is not negative.
fn take_number<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = match Marker::from_u8(*bytes.first()?) {
        Marker::FixPos(_) => 1,
        Marker::U8 => 2,
        Marker::U16 => 3,
        Marker::U32 => 5,
        Marker::U64 => 9,
        _ => return None,
    };
    take(bytes, length)
}

/// What was written once, and how to find it again.
struct List<'a> {
    values: Vec<&'a [u8]>,
    /// By their hash, the latest of several: a value that was displaced is written twice, and a
    /// stranger who makes hashes meet gains nothing by it.
    slots: Box<[u32; SLOTS]>,
}

/// Twice as many as a batch has clicks, roughly.
const SLOTS: usize = 2_048;

impl<'a> List<'a> {
    fn new() -> Self {
        Self {
            values: Vec::new(),
            slots: Box::new([0; SLOTS]),
        }
    }

    /// The index of a value, and whether it is new.
    fn index(&mut self, value: &'a [u8]) -> (u32, bool) {
        let slot = &mut self.slots[crc32c::crc32c(value) as usize % SLOTS];
        // Zero: nothing there.
        if let Some(index) = slot.checked_sub(1)
            && self.values[index as usize] == value
        {
            return (index, false);
        }
        self.values.push(value);
        *slot = u32::try_from(self.values.len()).expect("a batch is far below 4 billion values");
        (*slot - 1, true)
    }
}

/// Writes a batch.
pub(super) struct Writer<'a> {
    since_ms: Option<i64>,
    owners: List<'a>,
    links: List<'a>,
    texts: List<'a>,
    /// The entries of `links`, encoded.
    links_encoded: Vec<u8>,
    count: u32,
    /// The clicks, encoded.
    clicks: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(clicks: usize) -> Self {
        Self {
            since_ms: None,
            owners: List::new(),
            links: List::new(),
            texts: List::new(),
            links_encoded: Vec::with_capacity(32 * clicks),
            count: 0,
            clicks: Vec::with_capacity(32 * clicks),
        }
    }

    pub(super) fn add(&mut self, click: &'a [u8]) {
        self.count += 1;
        let Some(click) = Encoded::read(click) else {
            self.clicks.extend(click);
            return;
        };
        let (link, is_new) = self.links.index(click.link);
        if is_new {
            let (owner, _) = self.owners.index(click.owner_id);
            self.links_encoded.push(0x93);
            self.links_encoded.extend(click.link_id);
            number(&mut self.links_encoded, owner);
            self.links_encoded.extend(click.code);
        }
        let since_ms = *self.since_ms.get_or_insert(click.at_ms);
        let to = &mut self.clicks;
        to.push(0x98);
        number(to, link);
        let after_ms = click.at_ms.wrapping_sub(since_ms);
        encode::write_sint(to, after_ms).expect("memory takes everything");
        to.extend(click.hints);
        for text in [click.referrer, click.user_agent, click.language] {
            number(to, self.texts.index(text).0);
        }
        match click.country {
            Some(country) => number(to, self.texts.index(country).0),
            None => to.push(0xc0),
        }
        to.extend(click.visitor);
    }

    pub(super) fn finish(self, spool: Uuid, first: u64) -> Vec<u8> {
        const OVERHEAD: usize = 128;
        let lists = [&self.owners, &self.texts].map(|list| list.values.concat());
        let size = lists.iter().map(Vec::len).sum::<usize>();
        let mut bytes =
            Vec::with_capacity(OVERHEAD + size + self.links_encoded.len() + self.clicks.len());
        let to = &mut bytes;
        to.push(0x87);
        key(to, "spool");
        to.extend([0xc4, 16]);
        to.extend(spool.as_bytes());
        key(to, "first");
        encode::write_uint(to, first).expect("memory takes everything");
        key(to, "since_ms");
        let since_ms = self.since_ms.unwrap_or_default();
        encode::write_sint(to, since_ms).expect("memory takes everything");
        let [owners, texts] = lists;
        let links = self.links.values.len();
        list(to, "owners", self.owners.values.len(), &owners);
        list(to, "links", links, &self.links_encoded);
        list(to, "texts", self.texts.values.len(), &texts);
        list(to, "clicks", self.count as usize, &self.clicks);
        bytes
    }
}

fn list(to: &mut Vec<u8>, name: &str, length: usize, values: &[u8]) {
    key(to, name);
    let length = u32::try_from(length).expect("a batch is far below 4 billion values");
    encode::write_array_len(to, length).expect("memory takes everything");
    to.extend(values);
}

fn key(to: &mut Vec<u8>, name: &str) {
    encode::write_str(to, name).expect("memory takes everything");
}

fn number(to: &mut Vec<u8>, number: u32) {
    encode::write_uint(to, number.into()).expect("memory takes everything");
}
