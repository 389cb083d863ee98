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
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

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
fn status_schema() -> Object {
    redirect_status(SchemaType::new(Type::Integer), &STATUSES)
}

/// The schema of a redirect status that may be `null`.
fn optional_status_schema() -> Object {
    let integer_or_null = SchemaType::from_iter([Type::Integer, Type::Null]);
    let values: Vec<Option<u16>> = STATUSES.into_iter().map(Some).chain([None]).collect();
    redirect_status(integer_or_null, &values)
}

/// Those that [`RedirectStatus`](crate::domain::RedirectStatus) takes.
const STATUSES: [u16; 4] = [301, 302, 307, 308];

fn redirect_status<T: Copy + Into<Value>>(kind: SchemaType, values: &[T]) -> Object {
    ObjectBuilder::new()
        .schema_type(kind)
        .description(Some(
            "The HTTP status of the redirect; 302 if nothing else is said",
        ))
        .enum_values(Some(values.iter().copied().map(Into::into)))
        .build()
}
