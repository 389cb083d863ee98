//! The rules of a link. A value that exists here is valid; nobody checks again.

mod code;
mod cursor;
mod link;
mod target;
mod title;
mod update;
mod window;

pub use code::Code;
pub use cursor::{Cursor, Sort, SortKey};
pub use link::{Link, LinkChange, LinkState, NewLink, RedirectStatus};
pub use target::{PublicUrl, Target};
pub use title::Title;
pub use update::Update;
pub use window::{EmptyWindow, parse_time};
