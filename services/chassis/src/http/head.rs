//! Requests as they lie in the bytes of a connection.

use std::mem::MaybeUninit;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

/// A header of a request: the name as the client wrote it, and the value.
pub type Field<'a> = httparse::Header<'a>;

/// How many headers a request may have that is read here. hyper takes a hundred.
const MOST_FIELDS: usize = 64;

/// What a request asks for: GET or HEAD, without a body.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// GET or HEAD; any other if the request was not read here.
    pub method: &'a Method,
    /// The path and the query, as they were sent.
    pub target: &'a str,
    /// The headers.
    pub fields: Fields<'a>,
}

/// The headers of a request, in the order in which they came.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(&'a [Field<'a>]);

/// What lies at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<T> {
    /// A whole request of so many bytes, and what was made of it.
    Whole(T, usize),
    /// The beginning of a request.
    Part,
    /// Something that takes more than is known here: another method, a body, a wish about the
    /// connection, an error.
    Other,
}

impl<'a> Head<'a> {
    /// Reads the request at the beginning of `bytes`, and gives it to `take`.
    pub fn receive<T>(bytes: &[u8], take: impl FnOnce(Head<'_>) -> T) -> Received<T> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        let length = match request.parse_with_uninit_headers(bytes, &mut fields) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Received::Part,
            // Whoever gets it next says what is wrong with it.
            Err(_) => return Received::Other,
        };
        let method = match request.method {
            Some("GET") => Method::GET,
            Some("HEAD") => Method::HEAD,
            _ => return Received::Other,
        };
        let Some(target) = request.path.filter(|target| is_plain(target)) else {
            return Received::Other;
        };
        let fields = Fields(request.headers);
        if request.version != Some(1) || fields.iter().any(|field| asks_for_more(field)) {
            return Received::Other;
        }
        let head = Head {
            method: &method,
            target,
            fields,
        };
        Received::Whole(take(head), length)
    }

    /// The path, as it was sent.
    pub fn path(&self) -> &'a str {
        self.target
            .split_once('?')
            .map_or(self.target, |(path, _)| path)
    }
}

impl<'a> Fields<'a> {
    /// These headers.
    pub fn new(fields: &'a [Field<'a>]) -> Self {
        Self(fields)
    }

    /// All of them.
    pub fn iter(self) -> std::slice::Iter<'a, Field<'a>> {
        self.0.iter()
    }

    /// The values of all headers with this name, whatever the case of its letters.
    pub fn get_all(self, name: &str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// The value of the first header with this name.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.get_all(name).next()
    }

    /// A copy; without those that are not allowed there, of which httparse lets none through.
    pub fn to_map(self) -> HeaderMap {
        self.iter()
            .filter_map(|field| {
                let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
                Some((name, HeaderValue::from_bytes(field.value).ok()?))
            })
            .collect()
    }
}

/// The headers in a map.
pub fn fields(map: &HeaderMap) -> Vec<Field<'_>> {
    map.iter()
        .map(|(name, value)| Field {
            name: name.as_str(),
            value: value.as_bytes(),
        })
        .collect()
}

/// Whether a header changes what becomes of the connection, or says that a body follows.
fn asks_for_more(field: &Field<'_>) -> bool {
    let is = |name: &str| field.name.eq_ignore_ascii_case(name);
    // Most names have none of these lengths.
    match field.name.len() {
        6 => is("expect"),
        7 => is("upgrade"),
        10 => is("connection") && !field.value.eq_ignore_ascii_case(b"keep-alive"),
        14 => is("content-length"),
        17 => is("transfer-encoding"),
        _ => false,
    }
}

/// Whether a target is a path, perhaps with a query, of which nobody doubts what it means.
fn is_plain(target: &str) -> bool {
    let is_plain = |byte| match byte {
        b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
        _ => u8::is_ascii_graphic(&byte),
    };
    target.starts_with('/') && target.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read: method, path, number of headers, length.
    fn read(bytes: &str) -> Received<(bool, String, usize)> {
        Head::receive(bytes.as_bytes(), |head| {
            let is_head = head.method == Method::HEAD;
            (is_head, head.path().to_owned(), head.fields.iter().count())
        })
    }

    #[test]
    fn a_request_is_read_where_it_ends() {
        let request =
            "GET /docs?a=b HTTP/1.1\r\nHost: kurz.example\r\nConnection: Keep-Alive\r\n\r\n";
        let whole = |bytes: &str| read(&format!("{bytes}GET /next"));
        let expected = Received::Whole((false, "/docs".to_owned(), 2), request.len());
        assert_eq!(whole(request), expected);
        for end in 1..request.len() {
            assert_eq!(read(&request[..end]), Received::Part, "{end} bytes");
        }
        let request = "HEAD / HTTP/1.1\r\n\r\n";
        let expected = Received::Whole((true, "/".to_owned(), 0), request.len());
        assert_eq!(whole(request), expected);
    }

    #[test]
    fn what_takes_more_is_left_to_others() {
        for request in [
            "POST /docs HTTP/1.1\r\n\r\n",
            "get /docs HTTP/1.1\r\n\r\n",
            "GET /docs HTTP/1.0\r\n\r\n",
            "GET http://kurz.example/docs HTTP/1.1\r\n\r\n",
            "GET * HTTP/1.1\r\n\r\n",
            "GET /docs#part HTTP/1.1\r\n\r\n",
            "GET /docs?<script> HTTP/1.1\r\n\r\n",
            "GET /ümlaut HTTP/1.1\r\n\r\n",
            "GET /docs HTTP/1.1\r\nConnection: close\r\n\r\n",
            "GET /docs HTTP/1.1\r\nconnection: keep-alive, upgrade\r\n\r\n",
            "GET /docs HTTP/1.1\r\nUpgrade: h2c\r\n\r\n",
            "GET /docs HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            "GET /docs HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "GET /docs HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            "GET /docs HTTP/1.1\r\nbad header: x\r\n\r\n",
            "GET /docs HTTP/1.1\r\nx: a\r\n folded\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\u{16}\u{3}\u{1}",
        ] {
            assert_eq!(read(request), Received::Other, "{request:?}");
        }
        let many = |count| format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(count));
        assert!(matches!(
            read(&many(MOST_FIELDS)),
            Received::Whole((false, _, MOST_FIELDS), _)
        ));
        assert_eq!(read(&many(MOST_FIELDS + 1)), Received::Other);
    }

    #[test]
    fn headers_are_found_in_any_case() {
        let request = b"GET / HTTP/1.1\r\nX-A: 1\r\nother: 2\r\nx-a: 3\r\n\r\n";
        let found = Head::receive(request, |head| {
            let all: Vec<_> = head.fields.get_all("x-a").map(<[u8]>::to_vec).collect();
            let map = head.fields.to_map();
            (all, head.fields.get("OTHER").map(<[u8]>::to_vec), map)
        });
        let Received::Whole((all, other, map), _) = found else {
            panic!("a whole request");
        };
        assert_eq!(all, [b"1", b"3"]);
        assert_eq!(other.as_deref(), Some(&b"2"[..]));
        assert_eq!(map.get_all("x-a").iter().count(), 2);
        let copied = fields(&map);
        assert_eq!(copied.len(), 3);
        assert_eq!(Fields::new(&copied).get("x-a"), Some(&b"1"[..]));
    }
}
