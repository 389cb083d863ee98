use std::net::SocketAddr;

use url::Url;

/// What a newcomer needs next: commands that work as they stand.
pub fn greeting(public_url: &Url, admin: SocketAddr) -> String {
    let base = public_url.as_str().trim_end_matches('/');
    format!(
        r#"kurz serves on {base}; in a second terminal:

  curl -sS {base}/auth/users -H 'content-type: application/json' -d '{{"username": "ada", "password": "correct horse battery staple"}}'
  TOKEN=$(curl -sS {base}/auth/tokens -H 'content-type: application/json' -d '{{"username": "ada", "password": "correct horse battery staple"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -sS {base}/shortener/links -H "Authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{{"url": "https://www.rust-lang.org/", "code": "rust"}}'

Then follow {base}/rust in a browser, and see it counted:

  curl -sS {base}/analytics/links/rust -H "Authorization: Bearer $TOKEN"

Every operation, with examples: {base}/docs
Health and metrics: http://{admin}/metrics
Ctrl-C stops it; nothing is lost.
"#
    )
}
