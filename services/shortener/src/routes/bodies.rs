//! The JSON that callers send and get.

mod change;
mod faults;
mod new;
mod view;

pub use change::LinkChangeBody;
pub use faults::Faults;
pub use new::NewLinkBody;
pub use view::{Deleted, LinkPage, LinkView};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::LinkState;

/// Whether a link can be followed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkState)]
#[serde(rename_all = "snake_case")]
pub enum StateBody {
    /// It leads to its target.
    Active,
    /// Switched off by its owner.
    Disabled,
}

impl From<StateBody> for LinkState {
    fn from(state: StateBody) -> Self {
        match state {
            StateBody::Active => Self::Active,
            StateBody::Disabled => Self::Disabled,
        }
    }
}

impl From<LinkState> for StateBody {
    fn from(state: LinkState) -> Self {
        match state {
            LinkState::Active => Self::Active,
            LinkState::Disabled => Self::Disabled,
        }
    }
}

/// The schema of a redirect status.
fn status_schema() -> utoipa::openapi::schema::Object {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some(
            "The HTTP status of the redirect; 302 if nothing else is said",
        ))
        .enum_values(Some([301, 302, 307, 308]))
        .build()
}
