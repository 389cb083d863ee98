//! What a click takes from the request's headers. Everything here is written by strangers.

use std::borrow::Cow;

use axum::http::Method;
use chassis::http::Fields;
use events::Hints;
use events::click::{MAX_LANGUAGE, MAX_REFERRER, MAX_USER_AGENT};

/// Headers by which browsers and previewers say that nobody is looking yet.
const PURPOSES: [&str; 4] = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/// What a request says in its headers; of a header that is there twice, what the first one says.
#[derive(Debug, Default)]
pub struct Said<'a> {
    /// The user agent, cut to its bound at the end of a character.
    pub user_agent: Cow<'a, str>,
    /// The host of the page that led here, in lower case and without port; empty if there is none
    /// or it is not a host.
    pub referrer: Cow<'a, str>,
    /// The primary tag of the first language, in lower case; empty if there is none.
    pub language: Cow<'a, str>,
    /// Nobody is looking yet.
    pub is_early: bool,
}

impl<'a> Said<'a> {
    /// Reads all headers once: looking each one up by its name costs more.
    pub fn in_headers(fields: Fields<'a>) -> Self {
        let (mut user_agent, mut referrer, mut language) = (None, None, None);
        let mut purposes = [None; PURPOSES.len()];
        for field in fields.iter() {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("user-agent") {
                user_agent.get_or_insert(field.value);
            } else if is("referer") {
                referrer.get_or_insert(field.value);
            } else if is("accept-language") {
                language.get_or_insert(field.value);
            } else if let Some(at) = PURPOSES.iter().position(|purpose| is(purpose)) {
                purposes[at].get_or_insert(field.value);
            }
        }
        Self {
            user_agent: user_agent.map(cut).unwrap_or_default(),
            referrer: referrer
                .and_then(|value| host(text(value)?))
                .map_or(Cow::Borrowed(""), lower_case),
            language: language
                .and_then(|value| primary(text(value)?))
                .map_or(Cow::Borrowed(""), lower_case),
            is_early: purposes.into_iter().flatten().any(is_early),
        }
    }

    /// What the request says about its own kind.
    pub fn hints(&self, method: &Method) -> Hints {
        let mut hints = Hints::NONE;
        if method == Method::HEAD {
            hints = hints.with(Hints::HEAD);
        }
        if self.is_early {
            hints = hints.with(Hints::PREFETCH);
        }
        hints
    }
}

/// The text of a header, which holds no control characters but tabs.
fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

fn cut(user_agent: &[u8]) -> Cow<'_, str> {
    if let Some(text) = text(user_agent) {
        return Cow::Borrowed(&text[..text.floor_char_boundary(MAX_USER_AGENT)]);
    }
    let mut text = String::from_utf8_lossy(user_agent).into_owned();
    text.truncate(text.floor_char_boundary(MAX_USER_AGENT));
    Cow::Owned(text)
}

fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

fn host(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once(':')?;
    let rest = rest.strip_prefix("//")?;
    let is_scheme = scheme
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if scheme.is_empty() || !is_scheme {
        return None;
    }
    let ends = |byte| matches!(byte, b'/' | b'?' | b'#' | b'\\');
    let authority = &rest[..rest.bytes().position(ends).unwrap_or(rest.len())];
    let host = authority.rsplit('@').next()?;
    let host = if host.starts_with('[') {
        let end = host.find(']')?;
        let inside = &host[1..end];
        inside
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
            .then(|| &host[..=end])?
    } else {
        let host = host.split(':').next()?;
        let host = host.strip_suffix('.').unwrap_or(host);
        host.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            .then_some(host)?
    };
    (!host.is_empty() && host.len() <= MAX_REFERRER).then_some(host)
}

fn primary(languages: &str) -> Option<&str> {
    let tag = languages.split([',', ';', '-', '_']).next()?.trim();
    let is_tag = (2..=MAX_LANGUAGE).contains(&tag.len())
        && tag.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_tag.then_some(tag)
}

fn is_early(purpose: &[u8]) -> bool {
    text(purpose).is_some_and(|purpose| {
        let purpose = purpose.to_ascii_lowercase();
        ["prefetch", "prerender", "preview"]
            .iter()
            .any(|kind| purpose.contains(kind))
    })
}

#[cfg(test)]
mod tests {
    use chassis::http::Field;
    use proptest::prelude::*;

    use super::*;

    fn with<'a>(name: &'a str, value: &'a [u8]) -> [Field<'a>; 1] {
        [Field { name, value }]
    }

    fn said<'a>(fields: &'a [Field<'a>]) -> Said<'a> {
        Said::in_headers(Fields::new(fields))
    }

    fn user_agent<'a>(fields: &'a [Field<'a>]) -> Cow<'a, str> {
        said(fields).user_agent
    }

    fn referrer<'a>(fields: &'a [Field<'a>]) -> Cow<'a, str> {
        said(fields).referrer
    }

    fn language<'a>(fields: &'a [Field<'a>]) -> Cow<'a, str> {
        said(fields).language
    }

    fn hints(method: &Method, fields: &[Field<'_>]) -> Hints {
        said(fields).hints(method)
    }

    #[test]
    fn a_header_that_is_there_twice_says_what_it_says_first() {
        let fields = [
            with("user-agent", b"one"),
            with("User-Agent", b"two"),
            with("purpose", b"navigation"),
            with("purpose", b"prefetch"),
        ];
        let fields = fields.concat();
        assert_eq!(user_agent(&fields), "one");
        assert_eq!(hints(&Method::GET, &fields), Hints::NONE);
    }

    #[test]
    fn a_referrer_is_its_host_only() {
        for (url, host) in [
            (
                "https://News.Example.org/path?query#part",
                "news.example.org",
            ),
            ("http://user:secret@example.org:8080/", "example.org"),
            ("https://example.org.", "example.org"),
            ("https://[2001:DB8::1]:443/x", "[2001:db8::1]"),
            ("android-app://com.example.mail/", "com.example.mail"),
            ("https://example.org\\@evil.example/", "example.org"),
            ("example.org", ""),
            ("https:///path", ""),
            ("javascript://<script>alert(1)</script>", ""),
            ("://example.org", ""),
            ("", ""),
        ] {
            assert_eq!(referrer(&with("referer", url.as_bytes())), host, "{url}");
        }
        let long = format!("https://{}.example/", "a".repeat(260));
        assert_eq!(referrer(&with("referer", long.as_bytes())), "");
        assert_eq!(referrer(&[]), "");
    }

    #[test]
    fn a_user_agent_is_cut_at_the_end_of_a_character() {
        let long = "ü".repeat(400);
        assert_eq!(
            user_agent(&with("user-agent", long.as_bytes())),
            "ü".repeat(256)
        );
        let odd = format!("x{}", "ü".repeat(400));
        assert_eq!(user_agent(&with("user-agent", odd.as_bytes())).len(), 511);
        let plain = with("user-agent", &[b'x'; 600]);
        assert_eq!(user_agent(&plain).len(), MAX_USER_AGENT);
        assert_eq!(
            user_agent(&with("user-agent", b"\xff\xfe")),
            "\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn a_language_is_its_primary_tag() {
        for (value, tag) in [
            ("de-CH,de;q=0.9,en;q=0.8", "de"),
            ("EN", "en"),
            ("fr;q=0.5", "fr"),
            ("*", ""),
            ("<b>,de", ""),
            ("abcdefghi", ""),
            ("", ""),
        ] {
            assert_eq!(
                language(&with("accept-language", value.as_bytes())),
                tag,
                "{value}"
            );
        }
    }

    #[test]
    fn prefetches_and_heads_say_so() {
        let none = [];
        assert_eq!(hints(&Method::GET, &none), Hints::NONE);
        assert_eq!(hints(&Method::HEAD, &none), Hints::HEAD);
        for (name, value) in [
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "Prefetch"),
            ("x-purpose", "preview"),
            ("x-moz", "prefetch"),
        ] {
            let hints = hints(&Method::GET, &with(name, value.as_bytes()));
            assert_eq!(hints, Hints::PREFETCH, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_header_breaks_the_bounds(bytes in proptest::collection::vec(32u8..=255, 0..1_500)) {
            let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != 127).collect();
            prop_assert!(user_agent(&with("user-agent", &bytes)).len() <= MAX_USER_AGENT);
            prop_assert!(referrer(&with("referer", &bytes)).len() <= MAX_REFERRER);
            prop_assert!(language(&with("accept-language", &bytes)).len() <= MAX_LANGUAGE);
        }
    }
}
