use super::*;

fn record() -> LinkRecord {
    LinkRecord {
        link_id: Uuid::from_u128(7),
        owner_id: Uuid::from_u128(8),
        code: "docs".into(),
        url: "https://example.org/a?b=c".into(),
        version: 3,
        state: LinkState::Active,
        valid_from_ms: None,
        valid_until_ms: None,
        max_clicks: None,
        fallback_url: None,
        redirect_status: 302,
    }
}

#[test]
fn a_packed_link_says_what_its_record_said() {
    for (from, until, fallback) in [
        (None, None, None),
        (Some(5), None, Some("https://example.net/")),
        (None, Some(9), None),
        (Some(5), Some(9), Some("http://example.com/closed")),
    ] {
        let record = LinkRecord {
            valid_from_ms: from,
            valid_until_ms: until,
            fallback_url: fallback.map(str::to_owned),
            ..record()
        };
        let link = Link::pack(&record).unwrap();
        assert_eq!(link.code(), record.code);
        assert_eq!(link.url(), record.url);
        assert_eq!(link.fallback_url(), fallback);
        assert_eq!(
            (link.link_id(), link.owner_id()),
            (record.link_id, record.owner_id)
        );
        assert_eq!((link.version(), link.redirect_status()), (3, 302));
        assert_eq!(Link::from_bytes(link.bytes().into()), Some(link));
    }
}

#[test]
fn a_link_is_open_from_its_first_to_before_its_last_moment() {
    let record = LinkRecord {
        valid_from_ms: Some(5),
        valid_until_ms: Some(9),
        ..record()
    };
    let link = Link::pack(&record).unwrap();
    assert_eq!(link.openness(4), Openness::NotYet);
    assert_eq!(link.openness(5), Openness::Open);
    assert_eq!(link.openness(8), Openness::Open);
    assert_eq!(link.openness(9), Openness::Closed);
    let disabled = LinkRecord {
        state: LinkState::Disabled,
        ..record
    };
    let link = Link::pack(&disabled).unwrap();
    assert_eq!(link.openness(4), Openness::NotYet);
    assert_eq!(link.openness(5), Openness::Closed);
}

#[test]
fn a_link_leads_only_to_the_web() {
    for url in [
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://example.org/",
        "http://",
        "",
    ] {
        let refused = Link::pack(&LinkRecord {
            url: url.into(),
            ..record()
        });
        assert_eq!(refused, Err(Unusable::Url("url")), "{url}");
    }
    let folded = LinkRecord {
        url: "https://example.org/\r\nSet-Cookie: a=b".into(),
        ..record()
    };
    assert!(!Link::pack(&folded).unwrap().url().contains(['\r', '\n']));
    let foreign = LinkRecord {
        url: "https://münchen.example/straße".into(),
        ..record()
    };
    assert_eq!(
        Link::pack(&foreign).unwrap().url(),
        "https://xn--mnchen-3ya.example/stra%C3%9Fe"
    );
}

#[test]
fn bytes_cut_anywhere_are_no_link() {
    let record = LinkRecord {
        valid_from_ms: Some(5),
        ..record()
    };
    let link = Link::pack(&record).unwrap();
    for length in 0..link.bytes().len() {
        assert_eq!(
            Link::from_bytes(link.bytes()[..length].into()),
            None,
            "{length}"
        );
    }
}

#[test]
fn a_million_links_of_sixty_bytes_fit_into_two_hundred_megabytes() {
    let record = LinkRecord {
        code: "a1b2c3d".into(),
        url: format!("https://example.org/{}", "x".repeat(40)),
        ..record()
    };
    let link = Link::pack(&record).unwrap();
    // Its bytes, the allocator's own word rounded up to 16, and two slots of the table.
    let allocated = (link.bytes().len() + 8).next_multiple_of(16);
    assert!(allocated + 2 * (size_of::<Link>() + 1) < 200, "{allocated}");
}
