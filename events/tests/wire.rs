//! The bytes of `v1`: what was ever released can be read for ever.

use std::sync::Arc;

use events::click::{decode, decode_head, encode, encode_batch};
use events::{
    AccountClosed, Click, ClickBatch, Hints, LinkRecord, LinkState, SpoolReport, SpoolState,
};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
}

fn click() -> Click {
    Click {
        link_id: uuid(1),
        owner_id: uuid(2),
        code: "rust".into(),
        at_ms: 1_767_225_600_123,
        hints: Hints::HEAD.with(Hints::PREFETCH),
        referrer: "news.example.org".into(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64)".into(),
        language: "de".into(),
        country: Some("AT".into()),
        visitor: u64::MAX - 7,
    }
}

fn plain_click() -> Click {
    Click {
        hints: Hints::NONE,
        referrer: "".into(),
        user_agent: "".into(),
        language: "".into(),
        country: None,
        visitor: 0,
        ..click()
    }
}

fn batch() -> ClickBatch {
    ClickBatch {
        spool: uuid(3),
        first: 1_000_000,
        clicks: vec![click(), plain_click()],
    }
}

fn link() -> LinkRecord {
    LinkRecord {
        link_id: uuid(1),
        owner_id: uuid(2),
        code: "rust".to_owned(),
        url: "https://www.rust-lang.org/".to_owned(),
        version: 3,
        state: LinkState::Disabled,
        valid_from_ms: Some(1_767_225_600_000),
        valid_until_ms: None,
        max_clicks: None,
        fallback_url: Some("https://example.org/".to_owned()),
        redirect_status: 302,
    }
}

fn report() -> SpoolReport {
    SpoolReport {
        spool: uuid(3),
        partition: 0,
        appended: 1_000_500,
        acknowledged: 1_000_002,
        at_ms: 1_767_225_600_123,
        state: SpoolState::Open,
        partitions: 1,
    }
}

fn report_of_many() -> SpoolReport {
    SpoolReport {
        partition: 2,
        partitions: 3,
        ..report()
    }
}

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/golden/{name}.msgpack", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_released_version_can_be_read() {
    assert_eq!(
        ClickBatch::decode(&golden("click_batch.v1.0")).unwrap(),
        batch()
    );
    assert_eq!(
        ClickBatch::decode(&golden("click_batch.v1.1")).unwrap(),
        batch()
    );
    assert_eq!(
        LinkRecord::decode(&golden("link_record.v1.0")).unwrap(),
        link()
    );
    assert_eq!(
        SpoolReport::decode(&golden("spool_report.v1.0")).unwrap(),
        report()
    );
    assert_eq!(
        SpoolReport::decode(&golden("spool_report.v1.1")).unwrap(),
        report_of_many()
    );
    let closed = AccountClosed {
        user_id: uuid(2),
        at_ms: 1_767_225_600_000,
    };
    assert_eq!(
        AccountClosed::decode(&golden("account_closed.v1.0")).unwrap(),
        closed
    );
}

#[test]
fn this_version_writes_what_it_has_released() {
    assert_eq!(batch().encode(), golden("click_batch.v1.1"));
    assert_eq!(link().encode(), golden("link_record.v1.0"));
    assert_eq!(report().encode(), golden("spool_report.v1.0"));
    assert_eq!(report_of_many().encode(), golden("spool_report.v1.1"));
    let closed = AccountClosed {
        user_id: uuid(2),
        at_ms: 1_767_225_600_000,
    };
    assert_eq!(closed.encode(), golden("account_closed.v1.0"));
}

/// A record as a newer version would write it.
fn with_a_new_field(record: &[u8]) -> Vec<u8> {
    // A map of up to 15 fields says how many in its first byte.
    assert_eq!(record[0] & 0xf0, 0x80);
    let mut bytes = vec![record[0] + 1];
    bytes.extend(&record[1..]);
    bytes.extend(rmp_serde::to_vec("a_new_field").expect("text encodes"));
    bytes.extend(rmp_serde::to_vec(&["of", "any", "kind"]).expect("a list encodes"));
    bytes
}

#[test]
fn a_newer_writer_may_add_fields_at_the_end() {
    #[derive(Serialize)]
    struct Newer {
        user_id: Uuid,
        at_ms: i64,
        reason: &'static str,
    }
    let bytes = rmp_serde::to_vec_named(&Newer {
        user_id: uuid(2),
        at_ms: 5,
        reason: "asked",
    });
    let closed = AccountClosed::decode(&bytes.unwrap()).unwrap();
    assert_eq!(
        closed,
        AccountClosed {
            user_id: uuid(2),
            at_ms: 5
        }
    );

    assert_eq!(
        LinkRecord::decode(&with_a_new_field(&link().encode())).unwrap(),
        link()
    );
    assert_eq!(
        SpoolReport::decode(&with_a_new_field(&report().encode())).unwrap(),
        report()
    );

    let mut bytes = Vec::new();
    encode(&click(), &mut bytes);
    // An array of ten becomes one of twelve.
    assert_eq!(bytes[0], 0x9a);
    bytes[0] = 0x9c;
    bytes.extend(rmp_serde::to_vec("a new field").unwrap());
    bytes.extend(rmp_serde::to_vec(&vec![1, 2, 3]).unwrap());
    assert_eq!(decode(&bytes).unwrap(), click());
    // Nothing of what a newer version says is lost in a batch.
    let mut own = Vec::new();
    encode(&plain_click(), &mut own);
    let batch = encode_batch(uuid(3), 7, [bytes.as_slice(), own.as_slice()].into_iter());
    assert!(batch.windows(bytes.len()).any(|part| part == bytes));
    assert_eq!(
        ClickBatch::decode(&batch).unwrap().clicks,
        [click(), plain_click()]
    );
}

#[test]
fn an_older_writer_may_lack_optional_fields() {
    #[derive(Serialize)]
    struct Older {
        link_id: Uuid,
        owner_id: Uuid,
        code: &'static str,
        url: &'static str,
        version: u64,
        state: LinkState,
        redirect_status: u16,
    }
    let bytes = rmp_serde::to_vec_named(&Older {
        link_id: uuid(1),
        owner_id: uuid(2),
        code: "rust",
        url: "https://www.rust-lang.org/",
        version: 3,
        state: LinkState::Disabled,
        redirect_status: 302,
    });
    let expected = LinkRecord {
        valid_from_ms: None,
        fallback_url: None,
        ..link()
    };
    assert_eq!(LinkRecord::decode(&bytes.unwrap()).unwrap(), expected);
}

/// A batch as version 1.0 read it.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only whether it can be read matters")]
struct OlderBatch {
    spool: Uuid,
    first: u64,
    clicks: Vec<OlderClick>,
}

type OlderClick = (
    Uuid,
    Uuid,
    String,
    i64,
    u16,
    String,
    String,
    String,
    Option<String>,
    u64,
);

#[test]
fn an_older_reader_refuses_a_batch_with_references_and_still_sees_its_numbers() {
    #[derive(Deserialize)]
    struct OlderEnvelope {
        spool: Uuid,
        first: u64,
        clicks: Vec<IgnoredAny>,
    }
    assert!(rmp_serde::from_slice::<OlderBatch>(&golden("click_batch.v1.0")).is_ok());
    let bytes = batch().encode();
    let error = rmp_serde::from_slice::<OlderBatch>(&bytes).unwrap_err();
    assert!(error.to_string().contains("invalid type"), "{error}");
    let envelope: OlderEnvelope = rmp_serde::from_slice(&bytes).unwrap();
    let (spool, first, count) = decode_head(&bytes).unwrap();
    assert_eq!((envelope.spool, envelope.first), (spool, first));
    assert_eq!(envelope.clicks.len(), count as usize);
}

#[test]
fn what_clicks_have_in_common_is_written_once() {
    let clicks = |count: u64| ClickBatch {
        clicks: (0..count)
            .map(|visitor| Click {
                visitor: u64::MAX - visitor,
                at_ms: click().at_ms + visitor.cast_signed() % 20,
                ..click()
            })
            .collect(),
        ..batch()
    };
    let [few, many] = [100, 600].map(|count| clicks(count).encode().len());
    // Eight fields and the visitor's eight bytes.
    assert_eq!((many - few) / 500, 17);
    let batch = ClickBatch::decode(&clicks(2).encode()).unwrap();
    let [one, other] = &batch.clicks[..] else {
        panic!("two clicks")
    };
    assert!(Arc::ptr_eq(&one.user_agent, &other.user_agent));
    assert!(Arc::ptr_eq(&one.code, &other.code));
}

#[test]
fn a_reference_to_what_is_not_there_is_an_error() {
    let good = batch().encode();
    let clicks = good
        .windows(6)
        .position(|bytes| bytes == b"clicks")
        .unwrap();
    // The array of clicks, the first click's array, its link.
    let link = clicks + 6 + 2;
    assert_eq!(good[link - 1..=link], [0x98, 0]);
    let mut bytes = good;
    bytes[link] = 7;
    let error = ClickBatch::decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("not there"), "{error}");
}

fn any_click() -> impl Strategy<Value = Click> {
    let ids = (
        any::<u128>(),
        any::<u128>(),
        "[A-Za-z0-9_-]{1,64}",
        any::<i64>(),
        any::<u16>(),
    );
    let visit = (
        ".{0,60}",
        ".{0,120}",
        ".{0,8}",
        proptest::option::of("[A-Z]{2}"),
        any::<u64>(),
    );
    (ids, visit).prop_map(|((link, owner, code, at_ms, hints), visit)| Click {
        link_id: Uuid::from_u128(link),
        owner_id: Uuid::from_u128(owner),
        code: code.into(),
        at_ms,
        hints: Hints::from_bits(hints),
        referrer: visit.0.into(),
        user_agent: visit.1.into(),
        language: visit.2.into(),
        country: visit.3.map(Into::into),
        visitor: visit.4,
    })
}

proptest! {
    #[test]
    fn a_batch_comes_back_as_it_was(
        spool in any::<u128>(),
        first in any::<u64>(),
        clicks in proptest::collection::vec(any_click(), 0..20),
    ) {
        let batch = ClickBatch { spool: Uuid::from_u128(spool), first, clicks };
        let bytes = batch.encode();
        let count = u32::try_from(batch.clicks.len()).unwrap();
        prop_assert_eq!(decode_head(&bytes).unwrap(), (batch.spool, first, count));
        prop_assert_eq!(ClickBatch::decode(&bytes).unwrap(), batch);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_a_batch_but_never_a_panic(
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = batch().encode();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let _ = ClickBatch::decode(&bytes);
        let bytes = batch().encode();
        let cut = cut.index(bytes.len());
        prop_assert!(ClickBatch::decode(&bytes[..cut]).is_err());
        let _ = LinkRecord::decode(&bytes[..cut]);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ClickBatch::decode(&bytes);
        let _ = LinkRecord::decode(&bytes);
        let _ = AccountClosed::decode(&bytes);
        let _ = SpoolReport::decode(&bytes);
    }
}
