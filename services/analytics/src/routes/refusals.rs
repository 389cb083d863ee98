//! What operations may answer instead.

use chassis::problem::Problem;
use utoipa::IntoResponses;

/// Refusals of every operation.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "only described, never made: handlers answer with Problem"
)]
pub enum Refusals {
    /// No access token, or one that is not valid (any more).
    #[response(status = 401, content_type = "application/problem+json",
        headers(("WWW-Authenticate", description = "Always `Bearer`")),
        example = json!({
            "type": "about:blank", "title": "Unauthorized", "status": 401,
            "detail": "the access token has expired: refresh it"
        }))]
    Unauthorized(#[to_schema] Problem),
    /// A fault of ours.
    #[response(status = 500, content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Internal Server Error", "status": 500,
            "detail": "something went wrong on our side"
        }))]
    Internal(#[to_schema] Problem),
    /// The service is stopping, or the part of it that has your account is away: whether a change
    /// was made has to be looked up.
    #[response(status = 503, content_type = "application/problem+json",
        headers(("Retry-After" = u64, description = "Seconds to wait")),
        example = json!({
            "type": "about:blank", "title": "Service Unavailable", "status": 503,
            "detail": "the service is stopping"
        }))]
    Unavailable(#[to_schema] Problem),
    /// The answer took too long.
    #[response(status = 504, content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Gateway Timeout", "status": 504,
            "detail": "the answer took too long: try again"
        }))]
    TimedOut(#[to_schema] Problem),
}

/// Refusals of an operation that names one link.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "only described, never made: handlers answer with Problem"
)]
pub enum NoSuchLink {
    /// There is no such link, or it is not yours.
    #[response(status = 404, content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Not Found", "status": 404,
            "detail": "there is no such link"
        }))]
    NotFound(#[to_schema] Problem),
}

/// Refusals of an operation with parameters.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "only described, never made: handlers answer with Problem"
)]
pub enum BadQuery {
    /// A parameter is not what it must be, or is not known; `errors` names it.
    #[response(status = 422, content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
            "detail": "limit: a limit is a number from 1 to 100",
            "errors": [{ "field": "limit", "message": "a limit is a number from 1 to 100" }]
        }))]
    Unprocessable(#[to_schema] Problem),
}

/// Refusals of an operation of which nobody may have too many.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "only described, never made: handlers answer with Problem"
)]
pub enum TooMany {
    /// You have as many at once as an account can have; `Retry-After` says when to try again.
    #[response(status = 429, content_type = "application/problem+json",
        headers(("Retry-After" = u64, description = "Seconds to wait")),
        example = json!({
            "type": "about:blank", "title": "Too Many Requests", "status": 429,
            "detail": "too many requests; try again in 10 s"
        }))]
    TooMany(#[to_schema] Problem),
}

/// Refusals of an operation with a body.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "only described, never made: handlers answer with Problem"
)]
pub enum BadBody {
    /// The body is not JSON.
    #[response(status = 400, content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Bad Request", "status": 400,
            "detail": "not valid JSON: expected value at line 1 column 1"
        }))]
    BadRequest(#[to_schema] Problem),
    /// The body is larger than 64 KiB.
    #[response(status = 413, content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Content Too Large", "status": 413,
            "detail": "the body is larger than 65536 bytes"
        }))]
    TooLarge(#[to_schema] Problem),
    /// The body does not say that it is JSON.
    #[response(status = 415, content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Unsupported Media Type", "status": 415,
            "detail": "Expected request with `Content-Type: application/json`"
        }))]
    NotJson(#[to_schema] Problem),
}

/// Refusals of the feed's switch.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "only described, never made: handlers answer with Problem"
)]
pub enum BadFeed {
    /// The body is not what it must be.
    #[response(status = 422, content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
            "detail": "body: missing field `enabled`",
            "errors": [{ "field": "body", "message": "missing field `enabled`" }]
        }))]
    Unprocessable(#[to_schema] Problem),
}
