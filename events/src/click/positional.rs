//! The bytes of a click: an array of its fields in their order of introduction.
//!
//! A field is only ever added at the end. A reader takes the fields that it knows, fills those
//! that an older writer did not have, and skips those that a newer writer added.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeTuple, Serializer};
use uuid::Uuid;

use super::{Click, ClickRef, Hints};

/// How many fields this version writes.
pub(super) const FIELDS: u8 = 10;

impl Serialize for Click {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ClickRef::from(self).serialize(serializer)
    }
}

impl Serialize for ClickRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_tuple(FIELDS.into())?;
        fields.serialize_element(&self.link_id)?;
        fields.serialize_element(&self.owner_id)?;
        fields.serialize_element(&self.code)?;
        fields.serialize_element(&self.at_ms)?;
        fields.serialize_element(&self.hints.bits())?;
        fields.serialize_element(&self.referrer)?;
        fields.serialize_element(&self.user_agent)?;
        fields.serialize_element(&self.language)?;
        fields.serialize_element(&self.country)?;
        fields.serialize_element(&self.visitor)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Click {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Click;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array with the fields of a click")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Click, A::Error> {
        let link_id = next(&mut fields, "link_id")?;
        behind_link_id(link_id, fields)
    }
}

/// The click whose first field was read already.
pub(super) fn behind_link_id<'de, A: SeqAccess<'de>>(
    link_id: Uuid,
    mut fields: A,
) -> Result<Click, A::Error> {
    let click = Click {
        link_id,
        owner_id: next(&mut fields, "owner_id")?,
        code: text(&mut fields, "code")?,
        at_ms: next(&mut fields, "at_ms")?,
        hints: Hints::from_bits(next(&mut fields, "hints")?),
        referrer: text(&mut fields, "referrer")?,
        user_agent: text(&mut fields, "user_agent")?,
        language: text(&mut fields, "language")?,
        country: next::<_, Option<String>>(&mut fields, "country")?.map(Arc::from),
        visitor: next(&mut fields, "visitor")?,
    };
    skip_the_rest(fields)?;
    Ok(click)
}

/// Skips what a newer writer added.
pub(super) fn skip_the_rest<'de, A: SeqAccess<'de>>(mut fields: A) -> Result<(), A::Error> {
    while fields.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

fn text<'de, A: SeqAccess<'de>>(fields: &mut A, name: &'static str) -> Result<Arc<str>, A::Error> {
    next::<_, String>(fields, name).map(Arc::from)
}

/// The next field, which has to be there.
pub(super) fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(
    fields: &mut A,
    name: &'static str,
) -> Result<T, A::Error> {
    fields
        .next_element()?
        .ok_or_else(|| A::Error::missing_field(name))
}
