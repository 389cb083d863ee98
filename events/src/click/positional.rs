//! The bytes of a click: an array of its fields in their order of introduction.
//!
//! A field is only ever added at the end. A reader takes the fields that it knows, fills those
//! that an older writer did not have, and skips those that a newer writer added.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeTuple, Serializer};

use super::{Click, Hints};

/// How many fields this version writes.
const FIELDS: usize = 10;

impl Serialize for Click {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_tuple(FIELDS)?;
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
        let click = Click {
            link_id: next(&mut fields, "link_id")?,
            owner_id: next(&mut fields, "owner_id")?,
            code: next(&mut fields, "code")?,
            at_ms: next(&mut fields, "at_ms")?,
            hints: Hints::from_bits(next(&mut fields, "hints")?),
            referrer: next(&mut fields, "referrer")?,
            user_agent: next(&mut fields, "user_agent")?,
            language: next(&mut fields, "language")?,
            country: next(&mut fields, "country")?,
            visitor: next(&mut fields, "visitor")?,
        };
        while fields.next_element::<IgnoredAny>()?.is_some() {}
        Ok(click)
    }
}

fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(
    fields: &mut A,
    name: &'static str,
) -> Result<T, A::Error> {
    fields
        .next_element()?
        .ok_or_else(|| A::Error::missing_field(name))
}
