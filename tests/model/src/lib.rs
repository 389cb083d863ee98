//! The protocol of `docs/exactly-once.md` as a small state machine, explored exhaustively.
//!
//! Redirectors append clicks to spools and publish them, a stream stores batches, analytics applies
//! them; everything that can fail fails at every moment, as often as the [`Bounds`] allow. Every
//! reachable state is visited, breadth first, so that a violation comes with a shortest schedule.
//!
//! Each step names the function of the product that it stands for. What happens between two steps
//! of the model is atomic in it: either it is in reality, or nobody else can tell.
//!
//! [`Rule`]s can be taken out one at a time: the exploration must then find what goes wrong, which
//! shows that it can.

mod bounds;
mod consumer;
mod database;
mod explore;
mod fingerprint;
mod list;
mod operator;
mod properties;
mod publisher;
mod spool;
mod stream;
mod world;

pub use bounds::{Bounds, Rule, Rules};
pub use explore::{Found, Report, explore};
pub use properties::Violation;
