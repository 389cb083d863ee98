use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::response::Response;
use futures_util::future::BoxFuture;

use super::Head;

/// Answers the requests that come most often, in front of hyper and the router, which cost several
/// times what the answer does. The router answers them, too, and the same.
pub trait Shortcut: Send + Sync {
    /// Answers a request by writing a whole answer behind what stands in `to`, if it is one of those.
    fn answer(&self, head: &Head<'_>, peer: SocketAddr, to: &mut Vec<u8>) -> Shortened;
}

/// What becomes of a request.
pub enum Shortened {
    /// It is answered.
    Now,
    /// It is answered, but the answer may go out only when this is over.
    After(BoxFuture<'static, ()>),
    /// This is the answer; its body is in memory. Nothing was written.
    With(Response),
    /// It is for the router. Nothing was written.
    Not,
}

/// Where a service puts its shortcut, if it has one.
#[derive(Clone, Default)]
pub struct ShortcutSlot(Arc<OnceLock<Arc<dyn Shortcut>>>);

impl ShortcutSlot {
    /// Takes the shortcut, before anything is served; there is one for a process.
    pub fn take(&self, shortcut: Arc<dyn Shortcut>) {
        let is_first = self.0.set(shortcut).is_ok();
        debug_assert!(is_first, "a process has one shortcut");
    }

    /// The shortcut, if there is one.
    pub fn get(&self) -> Option<Arc<dyn Shortcut>> {
        self.0.get().cloned()
    }
}

impl fmt::Debug for ShortcutSlot {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_tuple("ShortcutSlot")
            .field(&self.0.get().is_some())
            .finish()
    }
}
