use axum::response::sse::Event;
use events::Click;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::EventId;
use crate::rules::{Agent, Kind};

/// One click, as its link's owner sees it: nothing that the statistics do not show, too.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "code": "docs", "at": "2026-11-24T17:05:03.120Z", "kind": "human", "referrer": "example.org",
    "country": "DE", "browser": "Firefox", "os": "Linux", "device": "desktop", "language": "de"
}))]
pub struct ClickEvent {
    /// The code of the link that was followed.
    code: String,
    /// When (RFC 3339, UTC).
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `human`, `bot`, `preview`, `prefetch` or `head`.
    kind: &'static str,
    /// The host of the page that led here; empty if none.
    referrer: String,
    /// The country (ISO 3166-1 alpha-2); empty if unknown.
    country: String,
    /// The browser's family; empty if unknown.
    browser: String,
    /// The system's family; empty if unknown.
    os: String,
    /// The form of the device; empty if unknown.
    device: &'static str,
    /// The first language that the visitor prefers; empty if unknown.
    language: String,
}

impl ClickEvent {
    /// What is shown of a click.
    pub fn new(click: &Click, kind: Kind, agent: &Agent) -> Self {
        Self {
            code: click.code.to_string(),
            at: Timestamp::from_millisecond(click.at_ms).unwrap_or(Timestamp::UNIX_EPOCH),
            kind: kind.as_str(),
            referrer: click.referrer.to_string(),
            country: click.country.as_deref().unwrap_or_default().to_owned(),
            browser: agent.browser.to_string(),
            os: agent.os.to_string(),
            device: agent.device,
            language: click.language.to_string(),
        }
    }

    /// The event on the wire.
    pub(super) fn event(&self, id: EventId) -> Event {
        json("click", self).id(id.to_string())
    }
}

/// Some clicks are not there any more.
#[derive(Debug, Serialize)]
pub(super) struct Gap {
    /// The first sequence that is missing.
    pub first_sequence: u64,
    /// The last one, or none if the id is from another stream.
    pub last_sequence: Option<u64>,
    /// For a person.
    pub message: &'static str,
}

impl Gap {
    /// The event on the wire; the stream goes on behind `place`.
    pub(super) fn event(&self, place: EventId) -> Event {
        json("gap", self).id(place.to_string())
    }
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Whoever reads it does not keep up.
    TooSlow,
    /// The service stops, or is restarted.
    Shutdown,
    /// The account was closed.
    AccountClosed,
    /// It was open for as long as a stream may be.
    Renew,
    /// A fault of ours.
    Fault,
    /// Nobody reads it any more.
    Gone,
}

impl End {
    /// The reason in one word, for programs.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::TooSlow => "too_slow",
            Self::Shutdown => "shutdown",
            Self::AccountClosed => "account_closed",
            Self::Renew => "renew",
            Self::Fault => "fault",
            Self::Gone => "gone",
        }
    }

    /// The event on the wire.
    pub(super) fn event(self) -> Event {
        #[derive(Serialize)]
        struct Reason {
            reason: &'static str,
            message: &'static str,
        }
        let message = match self {
            Self::TooSlow => "read faster; resume with the last event's id",
            Self::Shutdown => "the service restarts; resume with the last event's id",
            Self::AccountClosed => "the account is closed",
            Self::Renew => "sign in again; resume with the last event's id",
            Self::Fault | Self::Gone => "a fault on our side; resume a little later",
        };
        json(
            "end",
            &Reason {
                reason: self.reason(),
                message,
            },
        )
    }
}

fn json(name: &str, data: &impl Serialize) -> Event {
    Event::default()
        .event(name)
        .json_data(data)
        .expect("plain data always encodes")
}
