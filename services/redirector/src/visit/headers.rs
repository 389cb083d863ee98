//! What a click takes from the request's headers. Everything here is written by strangers.

use axum::http::header::{ACCEPT_LANGUAGE, REFERER, USER_AGENT};
use axum::http::{HeaderMap, Method};
use events::Hints;
use events::click::{MAX_LANGUAGE, MAX_REFERRER, MAX_USER_AGENT};

/// Headers by which browsers and previewers say that nobody is looking yet.
const PURPOSES: [&str; 4] = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/// The user agent, cut to its bound at the end of a character.
pub fn user_agent(headers: &HeaderMap) -> String {
    let Some(value) = headers.get(USER_AGENT) else {
        return String::new();
    };
    let mut text = match value.to_str() {
        Ok(text) => text[..text.len().min(MAX_USER_AGENT)].to_owned(),
        Err(_) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
    };
    text.truncate(text.floor_char_boundary(MAX_USER_AGENT));
    text
}

/// The host of the page that led here, in lower case and without port; empty if there is none or it
/// is not a host.
pub fn referrer(headers: &HeaderMap) -> String {
    headers
        .get(REFERER)
        .and_then(|value| value.to_str().ok())
        .and_then(host)
        .map(str::to_ascii_lowercase)
        .unwrap_or_default()
}

fn host(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let is_scheme = scheme
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if scheme.is_empty() || !is_scheme {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
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

/// The primary tag of the first language, in lower case; empty if there is none.
pub fn language(headers: &HeaderMap) -> String {
    headers
        .get(ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split([',', ';', '-', '_']).next())
        .map(str::trim)
        .filter(|tag| {
            (2..=MAX_LANGUAGE).contains(&tag.len())
                && tag.bytes().all(|byte| byte.is_ascii_alphabetic())
        })
        .map(str::to_ascii_lowercase)
        .unwrap_or_default()
}

/// What the request says about its own kind.
pub fn hints(method: &Method, headers: &HeaderMap) -> Hints {
    let mut hints = Hints::NONE;
    if method == Method::HEAD {
        hints = hints.with(Hints::HEAD);
    }
    let early = PURPOSES.iter().any(|name| {
        headers
            .get(*name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                let value = value.to_ascii_lowercase();
                ["prefetch", "prerender", "preview"]
                    .iter()
                    .any(|kind| value.contains(kind))
            })
    });
    if early {
        hints.with(Hints::PREFETCH)
    } else {
        hints
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn with(name: &'static str, value: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value).unwrap(),
        );
        headers
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
        assert_eq!(referrer(&HeaderMap::new()), "");
    }

    #[test]
    fn a_user_agent_is_cut_at_the_end_of_a_character() {
        let long = "ü".repeat(400);
        let cut = user_agent(&with("user-agent", long.as_bytes()));
        assert_eq!(cut, "ü".repeat(256));
        let odd = format!("x{}", "ü".repeat(400));
        assert_eq!(user_agent(&with("user-agent", odd.as_bytes())).len(), 511);
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
        let none = HeaderMap::new();
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
