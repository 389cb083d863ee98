use axum::http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chassis::problem::Problem;

/// When to ask again for a link that was not loaded yet, in seconds: loading takes one or two.
const SOON: HeaderValue = HeaderValue::from_static("1");

/// Why a code leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such link, or nobody is to know yet.
    Unknown,
    /// There is one, and it is disabled or over.
    Closed,
    /// Nobody can say yet: the link table is being loaded.
    NotLoaded,
}

impl Refusal {
    /// A page for those who accept one, as the values of `Accept` say, else a problem. Neither
    /// repeats anything of the request.
    pub fn answer<'a>(self, accept: impl Iterator<Item = &'a [u8]>) -> Response {
        let (status, title, text) = match self {
            Self::Unknown => (
                StatusCode::NOT_FOUND,
                "There is no such link",
                "The address may be mistyped, or the link was deleted by its owner.",
            ),
            Self::Closed => (
                StatusCode::GONE,
                "This link is closed",
                "Its owner switched it off, or its time is over.",
            ),
            Self::NotLoaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "This link can't be followed yet",
                "The server has just been started. Please try again in a moment.",
            ),
        };
        let mut response = if accepts_html(accept) {
            page(status, title, text)
        } else {
            Problem::new(status, title)
                .header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
                .header(VARY, HeaderValue::from_static("accept"))
                .into_response()
        };
        if self == Self::NotLoaded {
            response.headers_mut().insert(RETRY_AFTER, SOON);
        }
        response
    }
}

/// Everything that is no route at all.
pub async fn unknown(headers: HeaderMap) -> Response {
    Refusal::Unknown.answer(headers.get_all(ACCEPT).iter().map(HeaderValue::as_bytes))
}

/// A method that is neither GET nor HEAD.
pub async fn wrong_method() -> Response {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "only GET and HEAD are answered here",
    )
    .header(ALLOW, HeaderValue::from_static("GET, HEAD"))
    .into_response()
}

/// A small page that loads nothing and runs nothing.
pub fn page(status: StatusCode, title: &'static str, text: &'static str) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 5] = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (VARY, HeaderValue::from_static("accept")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
        ),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n\
         <style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;\
         padding:0 1rem;color:#222;background:#fff}}@media(prefers-color-scheme:dark)\
         {{body{{color:#ddd;background:#161616}}}}</style>\n<h1>{title}</h1>\n<p>{text}</p>\n</html>\n"
    );
    (status, HEADERS, body).into_response()
}

fn accepts_html<'a>(mut accept: impl Iterator<Item = &'a [u8]>) -> bool {
    accept.any(|value| {
        let value = value.to_ascii_lowercase();
        value
            .windows("text/html".len())
            .any(|part| part == b"text/html")
    })
}
