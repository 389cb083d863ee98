use std::fmt;

use url::Url;

/// Longest URL in bytes, before and after normalization. Browsers and proxies carry about 8 KiB in
/// a header, and the answer of a redirect is that header.
pub const MAX_BYTES: usize = 8_192;

/// Where a link leads: an absolute http or https URL in the normal form of the URL standard
/// (host in lower case, spaces and other scripts encoded), so it is also a valid header value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(String);

/// Why a text can't be the target of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// More than [`MAX_BYTES`].
    #[error("must be at most 8192 bytes long")]
    TooLong,
    /// Not an absolute URL.
    #[error("must be an absolute URL such as https://example.com/page")]
    NotAUrl,
    /// `javascript:`, `data:`, `ftp:` and so on.
    #[error("must start with http:// or https://")]
    Scheme,
    /// `https:///path`.
    #[error("must have a host")]
    NoHost,
    /// `https://user:password@host`: it would be published to everybody who follows the link.
    #[error("must not contain a user name or password")]
    Credentials,
    /// Our own host: links that lead to links can lead in a circle.
    #[error("must not lead to this service itself")]
    OwnHost,
}

impl Target {
    /// Parses what a user typed.
    pub fn parse(text: &str, own: &PublicUrl) -> Result<Self, TargetError> {
        if text.len() > MAX_BYTES {
            return Err(TargetError::TooLong);
        }
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::EmptyHost => TargetError::NoHost,
            _ => TargetError::NotAUrl,
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TargetError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::Credentials);
        }
        let host = url
            .host_str()
            .map(bare_host)
            .filter(|host| !host.is_empty());
        let host = host.ok_or(TargetError::NoHost)?;
        if host == own.host {
            return Err(TargetError::OwnHost);
        }
        if url.as_str().len() > MAX_BYTES {
            return Err(TargetError::TooLong);
        }
        Ok(Self(url.into()))
    }

    /// A target as the database holds it.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `example.com.` is `example.com`; the parser has already put the host in lower case.
fn bare_host(host: &str) -> &str {
    host.trim_end_matches('.')
}

/// The base of our short URLs.
#[derive(Debug, Clone)]
pub struct PublicUrl {
    base: String,
    host: String,
}

impl PublicUrl {
    /// From `KURZ_PUBLIC_URL`.
    pub fn new(url: &Url) -> Self {
        Self {
            base: url.as_str().trim_end_matches('/').to_owned(),
            host: bare_host(url.host_str().unwrap_or_default()).to_owned(),
        }
    }

    /// The base without a slash at the end; also the issuer of our tokens.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The short URL of a code.
    pub fn short(&self, code: &super::Code) -> String {
        format!("{}/{code}", self.base)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own() -> PublicUrl {
        PublicUrl::new(&Url::parse("https://kurz.test:8443/").unwrap())
    }

    fn parse(text: &str) -> Result<String, TargetError> {
        Target::parse(text, &own()).map(|target| target.as_str().to_owned())
    }

    #[test]
    fn other_schemes_are_refused() {
        for text in [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " java\nscript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "ftp://example.com/",
            "file:///etc/passwd",
            "mailto:a@example.com",
            "blob:https://example.com/1",
            "about:blank",
        ] {
            assert_eq!(parse(text), Err(TargetError::Scheme), "{text}");
        }
    }

    #[test]
    fn relative_and_broken_urls_are_refused() {
        for text in [
            "",
            "/",
            "example.com",
            "//example.com",
            "http://a b/",
            "https://[::1/",
        ] {
            assert_eq!(parse(text), Err(TargetError::NotAUrl), "{text}");
        }
        for text in [
            "http://",
            "https:///",
            "http://?a",
            "http://./",
            "http://../",
        ] {
            assert!(
                matches!(parse(text), Err(TargetError::NoHost | TargetError::NotAUrl)),
                "{text}"
            );
        }
    }

    #[test]
    fn credentials_are_refused() {
        for text in [
            "http://a@example.com",
            "http://a:b@example.com",
            "http://:b@example.com",
        ] {
            assert_eq!(parse(text), Err(TargetError::Credentials), "{text}");
        }
    }

    #[test]
    fn our_own_host_is_refused_in_every_spelling() {
        for text in [
            "https://kurz.test:8443/abc",
            "https://kurz.test/abc",
            "http://KURZ.test:80/",
            "https://kurz.test./abc",
            "https://kurz.test.:8443/abc",
            "https://k%75rz.test/abc",
            "https:\\\\kurz.test\\abc",
            "https:kurz.test",
            "https://kurz。test/",
            "https://ｋurz.test/",
        ] {
            assert_eq!(parse(text), Err(TargetError::OwnHost), "{text}");
        }
        assert!(parse("https://notkurz.test/").is_ok());
        assert!(parse("https://kurz.test.example.com/").is_ok());
        assert!(parse("https://example.com/?u=https://kurz.test/").is_ok());
    }

    #[test]
    fn the_limit_counts_bytes_before_and_after_normalization() {
        let url = |bytes: usize| format!("http://a.example/{}", "x".repeat(bytes - 17));
        assert!(parse(&url(MAX_BYTES)).is_ok());
        assert_eq!(parse(&url(MAX_BYTES + 1)), Err(TargetError::TooLong));
        // Each ä is two bytes as typed and six when encoded.
        assert_eq!(
            parse(&format!("http://a.example/{}", "ä".repeat(2_000))),
            Err(TargetError::TooLong)
        );
    }

    #[test]
    fn a_target_is_normalized() {
        assert_eq!(
            parse(" HTTPS://Bücher.Example:443/ä b\n ").unwrap(),
            "https://xn--bcher-kva.example/%C3%A4b".replace("%A4b", "%A4%20b")
        );
    }

    proptest! {
        #[test]
        fn nothing_makes_the_parser_panic(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn what_parses_is_a_header_value_and_parses_to_itself(
            rest in "[a-z0-9.-]{1,20}(:[0-9]{1,5})?(/\\PC{0,40})?"
        ) {
            if let Ok(target) = parse(&format!("https://{rest}")) {
                prop_assert!(target.bytes().all(|byte| (0x21..0x7f).contains(&byte)), "{target}");
                prop_assert!(target.len() <= MAX_BYTES);
                prop_assert_eq!(parse(&target), Ok(target));
            }
        }

        #[test]
        fn a_plain_url_stays_as_it_is(
            host in "[a-z]{1,10}\\.(com|org)", path in "[a-z0-9/_-]{0,30}"
        ) {
            let text = format!("https://{host}/{path}");
            prop_assert_eq!(parse(&text), Ok(text));
        }
    }
}
