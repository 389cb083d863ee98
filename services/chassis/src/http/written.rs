//! Answers as they go out.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::header::{CONTENT_LENGTH, DATE};
use axum::http::{HeaderMap, StatusCode};

/// Writes a redirect that nobody may keep, behind what stands in `to`.
///
/// `location` is visible ASCII.
pub fn redirect(to: &mut Vec<u8>, status: StatusCode, location: &str) {
    debug_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()));
    status_line(to, status);
    field(to, "location", location.as_bytes());
    field(to, "cache-control", b"no-store");
    field(to, "content-length", b"0");
    date(to);
    to.extend_from_slice(b"\r\n");
}

/// Writes a whole answer behind what stands in `to`; to HEAD without its body.
pub(super) fn whole(
    to: &mut Vec<u8>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    is_to_head: bool,
) {
    status_line(to, status);
    for (name, value) in headers {
        field(to, name.as_str(), value.as_bytes());
    }
    let has_body = status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED;
    // Without a body it is not known here how long that of GET would be.
    let has_length = has_body && !(is_to_head && body.is_empty());
    if has_length && !headers.contains_key(CONTENT_LENGTH) {
        field(to, "content-length", body.len().to_string().as_bytes());
    }
    if !headers.contains_key(DATE) {
        date(to);
    }
    to.extend_from_slice(b"\r\n");
    if has_body && !is_to_head {
        to.extend_from_slice(body);
    }
}

fn status_line(to: &mut Vec<u8>, status: StatusCode) {
    to.extend_from_slice(b"HTTP/1.1 ");
    to.extend_from_slice(status.as_str().as_bytes());
    to.push(b' ');
    to.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    to.extend_from_slice(b"\r\n");
}

fn field(to: &mut Vec<u8>, name: &str, value: &[u8]) {
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(b": ");
    to.extend_from_slice(value);
    to.extend_from_slice(b"\r\n");
}

/// Writes the time, which is made into text once a second.
#[expect(
    clippy::disallowed_methods,
    reason = "the date of an answer is when it was sent, whatever the service's clock says"
)]
fn date(to: &mut Vec<u8>) {
    thread_local! {
        static LATEST: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    LATEST.with_borrow_mut(|(second, text)| {
        if *second != now.as_secs() || text.is_empty() {
            *second = now.as_secs();
            *text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(*second));
        }
        field(to, "date", text.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::clock::Clock;

    /// What was written, and its date apart.
    fn split(written: Vec<u8>) -> (String, SystemTime) {
        let text = String::from_utf8(written).unwrap();
        let (before, rest) = text.split_once("date: ").unwrap();
        let (date, after) = rest.split_once("\r\n").unwrap();
        let date = httpdate::parse_http_date(date).unwrap();
        (format!("{before}{after}"), date)
    }

    #[test]
    fn a_redirect_says_where_to_go_and_nothing_else() {
        let mut to = Vec::new();
        redirect(&mut to, StatusCode::FOUND, "https://example.org/a");
        let (text, date) = split(to);
        let expected = "HTTP/1.1 302 Found\r\nlocation: https://example.org/a\r\n\
             cache-control: no-store\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(text, expected);
        let now = Clock::system().now().as_second();
        let sent = date.duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!((sent.cast_signed()..sent.cast_signed() + 60).contains(&now));
    }

    #[test]
    fn a_body_has_its_length_and_head_gets_none() {
        let headers = HeaderMap::from_iter([(
            axum::http::header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain"),
        )]);
        for (is_to_head, body) in [(false, "hello"), (true, "")] {
            let mut to = Vec::new();
            whole(&mut to, StatusCode::OK, &headers, b"hello", is_to_head);
            let expected = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\n{body}"
            );
            assert_eq!(split(to).0, expected);
        }
    }

    #[test]
    fn what_has_no_body_has_no_length_and_one_that_is_given_stays() {
        let mut to = Vec::new();
        whole(
            &mut to,
            StatusCode::NO_CONTENT,
            &HeaderMap::new(),
            b"",
            false,
        );
        assert_eq!(split(to).0, "HTTP/1.1 204 No Content\r\n\r\n");
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("7"))]);
        let mut to = Vec::new();
        whole(&mut to, StatusCode::OK, &headers, b"", true);
        assert_eq!(split(to).0, "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n");
    }
}
