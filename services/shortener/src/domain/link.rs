use jiff::Timestamp;
use uuid::Uuid;

use super::window::{self, EmptyWindow};
use super::{Code, Target, Title, Update};

/// A link as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its own identity: a code can be deleted and taken again.
    pub id: Uuid,
    /// The account it belongs to.
    pub owner_id: Uuid,
    /// Its short name.
    pub code: Code,
    /// Where it leads.
    pub url: Target,
    /// What its owner calls it.
    pub title: Option<Title>,
    /// Whether it can be followed at all.
    pub state: LinkState,
    /// It can be followed from this time on.
    pub valid_from: Option<Timestamp>,
    /// It can be followed before this time.
    pub valid_until: Option<Timestamp>,
    /// Where it leads when it can't be followed.
    pub fallback_url: Option<Target>,
    /// With which status it redirects.
    pub redirect_status: RedirectStatus,
    /// 1 at first, one more with each change.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Whether a link can be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkState {
    /// It leads to its target.
    #[default]
    Active,
    /// Its owner switched it off.
    Disabled,
}

/// The status of the redirect: 301, 302, 307 or 308.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedirectStatus(u16);

/// The number is not a status that we redirect with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 301, 302, 307 or 308")]
pub struct BadStatus;

impl RedirectStatus {
    /// Parses what a user gave.
    pub fn parse(status: u16) -> Result<Self, BadStatus> {
        match status {
            301 | 302 | 307 | 308 => Ok(Self(status)),
            _ => Err(BadStatus),
        }
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl Default for RedirectStatus {
    /// 302: browsers ask again each time, so every click is seen and the target can be changed.
    fn default() -> Self {
        Self(302)
    }
}

/// What a user says about a new link, besides its code.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// Where it leads.
    pub url: Target,
    /// What its owner calls it.
    pub title: Option<Title>,
    /// Active or disabled.
    pub state: LinkState,
    /// It can be followed from this time on.
    pub valid_from: Option<Timestamp>,
    /// It can be followed before this time.
    pub valid_until: Option<Timestamp>,
    /// Where it leads when it can't be followed.
    pub fallback_url: Option<Target>,
    /// With which status it redirects.
    pub redirect_status: RedirectStatus,
}

/// A partial update: `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct LinkChange {
    /// Another target.
    pub url: Option<Target>,
    /// Another title, or none.
    pub title: Update<Title>,
    /// Switch on or off.
    pub state: Option<LinkState>,
    /// Another first moment, or none.
    pub valid_from: Update<Timestamp>,
    /// Another end, or none.
    pub valid_until: Update<Timestamp>,
    /// Another fallback, or none.
    pub fallback_url: Update<Target>,
    /// Another status.
    pub redirect_status: Option<RedirectStatus>,
}

impl Link {
    /// A new link of `owner_id`.
    pub fn new(
        id: Uuid,
        owner_id: Uuid,
        code: Code,
        new: NewLink,
        now: Timestamp,
    ) -> Result<Self, EmptyWindow> {
        window::check(new.valid_from, new.valid_until)?;
        let now = window::to_millisecond(now);
        Ok(Self {
            id,
            owner_id,
            code,
            url: new.url,
            title: new.title,
            state: new.state,
            valid_from: new.valid_from,
            valid_until: new.valid_until,
            fallback_url: new.fallback_url,
            redirect_status: new.redirect_status,
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }

    /// The link after a change. A change that changes nothing gives an equal link: same version,
    /// same `updated_at`.
    pub fn changed(&self, change: LinkChange, now: Timestamp) -> Result<Self, EmptyWindow> {
        let mut link = self.clone();
        set(&mut link.url, change.url);
        change.title.apply(&mut link.title);
        set(&mut link.state, change.state);
        change.valid_from.apply(&mut link.valid_from);
        change.valid_until.apply(&mut link.valid_until);
        change.fallback_url.apply(&mut link.fallback_url);
        set(&mut link.redirect_status, change.redirect_status);
        window::check(link.valid_from, link.valid_until)?;
        if link != *self {
            link.version += 1;
            link.updated_at = window::to_millisecond(now);
        }
        Ok(link)
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::domain::PublicUrl;

    fn link() -> Link {
        let own = PublicUrl::new(&Url::parse("http://kurz.test").unwrap());
        let new = NewLink {
            url: Target::parse("https://example.com/", &own).unwrap(),
            title: Some(Title::parse("one".into()).unwrap()),
            state: LinkState::Active,
            valid_from: Some(Timestamp::from_second(10).unwrap()),
            valid_until: None,
            fallback_url: None,
            redirect_status: RedirectStatus::default(),
        };
        let code = Code::parse("abc").unwrap();
        Link::new(Uuid::nil(), Uuid::nil(), code, new, Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn a_change_touches_only_what_it_names() {
        let now = Timestamp::from_second(5).unwrap();
        let change = LinkChange {
            title: Update::Clear,
            ..LinkChange::default()
        };
        let after = link().changed(change, now).unwrap();
        let expected = Link {
            title: None,
            version: 2,
            updated_at: now,
            ..link()
        };
        assert_eq!(after, expected);
    }

    #[test]
    fn a_change_that_changes_nothing_keeps_the_version() {
        let change = LinkChange {
            state: Some(LinkState::Active),
            ..LinkChange::default()
        };
        let after = link()
            .changed(change, Timestamp::from_second(5).unwrap())
            .unwrap();
        assert_eq!(after, link());
    }

    #[test]
    fn a_change_can_not_leave_a_window_that_never_opens() {
        let change = LinkChange {
            valid_until: Update::Set(Timestamp::from_second(10).unwrap()),
            ..LinkChange::default()
        };
        assert_eq!(
            link().changed(change, Timestamp::UNIX_EPOCH),
            Err(EmptyWindow)
        );
    }

    #[test]
    fn only_redirects_are_redirect_statuses() {
        for status in [0, 200, 300, 303, 304, 309, 404] {
            assert_eq!(RedirectStatus::parse(status), Err(BadStatus));
        }
        assert_eq!(RedirectStatus::parse(308).map(RedirectStatus::get), Ok(308));
    }
}
