//! Refusals that several routes have in common, for their descriptions.

use chassis::problem::Problem;
use utoipa::IntoResponses;

/// What may be wrong with a JSON body.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes responses, never made")]
pub enum OfBody {
    /// The body is not JSON.
    #[response(
        status = 400,
        content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Bad Request", "status": 400,
            "detail": "not valid JSON: EOF while parsing an object at line 1 column 1"
        })
    )]
    NotJson(#[to_schema] Problem),
    /// The body is larger than 64 KiB.
    #[response(
        status = 413,
        content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Content Too Large", "status": 413,
            "detail": "the body is too large"
        })
    )]
    TooLarge(#[to_schema] Problem),
    /// The body does not say that it is `application/json`.
    #[response(
        status = 415,
        content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Unsupported Media Type", "status": 415,
            "detail": "Expected request with `Content-Type: application/json`"
        })
    )]
    NotSaidToBeJson(#[to_schema] Problem),
    /// A field is missing, of another type, or breaks a rule.
    #[response(
        status = 422,
        content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
            "detail": "username: must have 3 to 64 characters",
            "errors": [{ "field": "username", "message": "must have 3 to 64 characters" }]
        })
    )]
    Invalid(#[to_schema] Problem),
}

/// Where passwords are hashed.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes responses, never made")]
pub enum OfAttempts {
    /// Too many attempts from this client or against this account; `Retry-After` says for how
    /// many seconds.
    #[response(
        status = 429,
        content_type = "application/problem+json",
        headers(("retry-after" = u64, description = "Seconds to wait")),
        example = json!({
            "type": "about:blank", "title": "Too Many Requests", "status": 429,
            "detail": "too many requests; try again in 30 s"
        })
    )]
    TooMany(#[to_schema] Problem),
}

/// Where the database or the hash threads are needed.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes responses, never made")]
pub enum OfService {
    /// Too much to do at the moment, or about to stop.
    #[response(
        status = 503,
        content_type = "application/problem+json",
        headers(("retry-after" = u64, description = "Seconds to wait")),
        example = json!({
            "type": "about:blank", "title": "Service Unavailable", "status": 503,
            "detail": "too many sign-ins at the moment, try again soon"
        })
    )]
    Unavailable(#[to_schema] Problem),
}

/// Where an access token is needed.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes responses, never made")]
pub enum OfToken {
    /// The access token is missing, not valid, expired, or its session has ended.
    #[response(
        status = 401,
        content_type = "application/problem+json",
        headers(("www-authenticate" = String, description = "`Bearer`")),
        example = json!({
            "type": "about:blank", "title": "Unauthorized", "status": 401,
            "detail": "the session has ended, sign in again"
        })
    )]
    Unauthorized(#[to_schema] Problem),
}

/// Where somebody confirms with their password.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes responses, never made")]
pub enum OfConfirmation {
    /// The password is wrong. The access token is good: refreshing it would not help.
    #[response(
        status = 403,
        content_type = "application/problem+json",
        example = json!({
            "type": "about:blank", "title": "Forbidden", "status": 403,
            "detail": "the password is wrong"
        })
    )]
    WrongPassword(#[to_schema] Problem),
}
