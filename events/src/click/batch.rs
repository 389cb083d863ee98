use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

use super::compact::{Item, Writer};
use super::{Click, Hints};
use crate::{DecodeError, decode_named};

/// Consecutive clicks of one spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickBatch {
    /// The spool whose clicks these are: with a click's number its identity.
    pub spool: Uuid,
    /// The number of the first click in its spool; the others follow without a hole.
    pub first: u64,
    /// The clicks.
    pub clicks: Vec<Click>,
}

/// The record as it travels. Before the fields that have a default were there, every click stood in
/// `clicks` as it stands in the spool; a batch may still hold such clicks.
#[derive(Deserialize)]
struct Wire<'a> {
    spool: Uuid,
    first: u64,
    /// What the times of the clicks count from.
    #[serde(default)]
    since_ms: i64,
    /// The accounts.
    #[serde(default)]
    owners: Vec<Uuid>,
    /// The links: id, index of the owner, code.
    #[serde(default, borrow)]
    links: Vec<(Uuid, usize, &'a str)>,
    /// Referrers, user agents, languages and countries.
    #[serde(default, borrow)]
    texts: Vec<&'a str>,
    clicks: Vec<Item>,
}

impl ClickBatch {
    /// The bytes of the message.
    pub fn encode(&self) -> Vec<u8> {
        let encoded: Vec<Vec<u8>> = self
            .clicks
            .iter()
            .map(|click| {
                let mut bytes = Vec::new();
                super::encode(click, &mut bytes);
                bytes
            })
            .collect();
        encode_batch(self.spool, self.first, encoded.iter().map(Vec::as_slice))
    }

    /// Reads what [`encode_batch`], of this or another version, wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wire: Wire = decode_named("ClickBatch", bytes)?;
        wire.resolve()
            .ok_or_else(|| DecodeError::new("ClickBatch", &"a click refers to what is not there"))
    }
}

impl Wire<'_> {
    /// Puts what the clicks refer to into its places; none if something is not there.
    fn resolve(self) -> Option<ClickBatch> {
        let texts: Vec<Arc<str>> = self.texts.into_iter().map(Arc::from).collect();
        let links = self
            .links
            .into_iter()
            .map(|(link_id, owner, code)| Some((link_id, *self.owners.get(owner)?, code.into())))
            .collect::<Option<Vec<(Uuid, Uuid, Arc<str>)>>>()?;
        let clicks = self
            .clicks
            .into_iter()
            .map(|item| match item {
                Item::Plain(click) => Some(*click),
                Item::Compact(short) => {
                    let (link_id, owner_id, code) = links.get(short.link)?;
                    let text = |index: usize| texts.get(index).cloned();
                    Some(Click {
                        link_id: *link_id,
                        owner_id: *owner_id,
                        code: Arc::clone(code),
                        at_ms: self.since_ms.wrapping_add(short.after_ms),
                        hints: Hints::from_bits(short.hints),
                        referrer: text(short.referrer)?,
                        user_agent: text(short.user_agent)?,
                        language: text(short.language)?,
                        country: match short.country {
                            Some(country) => Some(text(country)?),
                            None => None,
                        },
                        visitor: short.visitor,
                    })
                }
            })
            .collect::<Option<_>>()?;
        Some(ClickBatch {
            spool: self.spool,
            first: self.first,
            clicks,
        })
    }
}

/// The bytes of a batch of clicks that are encoded as in the spool. A click of another version than
/// this one is copied as it is.
pub fn encode_batch<'a, I>(spool: Uuid, first: u64, clicks: I) -> Vec<u8>
where
    I: ExactSizeIterator<Item = &'a [u8]>,
{
    let mut writer = Writer::new(clicks.len());
    for click in clicks {
        writer.add(click);
    }
    writer.finish(spool, first)
}

/// Reads whose clicks a batch holds, the number of the first, and how many there are, and checks
/// that all of them can be read.
pub fn decode_head(bytes: &[u8]) -> Result<(Uuid, u64, u32), DecodeError> {
    let batch = ClickBatch::decode(bytes)?;
    let count = u32::try_from(batch.clicks.len())
        .map_err(|error| DecodeError::new("ClickBatch", &error))?;
    Ok((batch.spool, batch.first, count))
}
