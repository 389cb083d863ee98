use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::http::request::Parts;
use axum::response::Response;
use futures_util::future::BoxFuture;

/// Answers the requests that come most often, in front of the router, which costs several times what
/// the answer does. The router answers them, too, and the same.
pub trait Shortcut: Send + Sync {
    /// The answer to a request without a body, or with one that does not matter.
    fn answer(&self, request: Parts, peer: SocketAddr) -> Shortened;
}

/// What becomes of a request.
pub enum Shortened {
    /// It is answered.
    Now(Response),
    /// It will be.
    Later(BoxFuture<'static, Response>),
    /// It is for the router.
    Not(Parts),
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
