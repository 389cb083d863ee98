use std::convert::Infallible;
use std::future::{Future, poll_fn, ready};
use std::io::Cursor;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use axum::serve::{Listener as _, ListenerExt as _};
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, join};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::Shortcut;
use super::direct::{Direct, HandedOver};
use crate::shutdown::Shutdown;

/// How long requests may go on once the shutdown has begun.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until the shutdown begins, then finishes what was asked, within a bound.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    shortcut: Option<Arc<dyn Shortcut>>,
    shutdown: &Shutdown,
) {
    let mut listener = listener.tap_io(|connection| {
        // Answers are single small writes: waiting to fill a packet only costs time.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
    });
    let (stop, running) = watch::channel(());
    let service = Service { shortcut, router };
    loop {
        let (connection, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        tokio::spawn(answer(connection, peer, service.clone(), running.clone()));
    }
    drop((listener, running));
    stop.send_replace(());
    tokio::select! {
        () = stop.closed() => {}
        () = tokio::time::sleep(GRACE) => {
            tracing::warn!("requests did not end within {GRACE:?}: cutting them off");
        }
    }
}

/// Answers what comes over a connection; once `running` changes, only what has begun.
async fn answer(
    connection: TcpStream,
    peer: SocketAddr,
    service: Service,
    running: watch::Receiver<()>,
) {
    let handed_over = match service.shortcut {
        None => HandedOver::new(connection),
        Some(shortcut) => {
            let direct = Direct::new(connection, peer, shortcut, service.router.clone());
            match until_stopped(pin!(direct), &running).await {
                Ok(Some(handed_over)) => handed_over,
                Ok(None) => return,
                Err(error) => {
                    tracing::trace!(%error, "a connection broke");
                    return;
                }
            }
        }
    };
    // On the heap, since few get there and it takes ten times as much as the rest.
    Box::pin(answer_by_hyper(handed_over, peer, service.router, running)).await;
}

async fn answer_by_hyper(
    handed_over: HandedOver,
    peer: SocketAddr,
    router: Router,
    running: watch::Receiver<()>,
) {
    let service = Routed {
        router,
        peer,
        first: Mutex::new(handed_over.first),
    };
    let (receiving, sending) = handed_over.connection.into_split();
    let received = Cursor::new(handed_over.unread).chain(receiving);
    let mut http = http1::Builder::new();
    // Most answers are a head, or a head and a small body: one buffer, not a list of them.
    http.writev(false);
    let answering = http.serve_connection(TokioIo::new(join(received, sending)), service);
    if let Err(error) = until_stopped(pin!(answering), &running).await {
        tracing::trace!(%error, "a connection broke");
    }
}

/// A connection that can be told to end soon.
trait Connection: Future {
    fn stop(self: Pin<&mut Self>);
}

impl Connection for Direct {
    fn stop(self: Pin<&mut Self>) {
        self.get_mut().stop();
    }
}

impl<I, S> Connection for http1::Connection<I, S>
where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    fn stop(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// What comes of a connection, which is told when `running` changes.
async fn until_stopped<C: Connection>(
    mut connection: Pin<&mut C>,
    running: &watch::Receiver<()>,
) -> C::Output {
    let mut waiting = running.clone();
    let mut stopping = pin!(waiting.changed());
    let (mut is_waiting, mut is_stopping) = (false, false);
    poll_fn(|context| {
        let polled = connection.as_mut().poll(context);
        // Waiting takes a lock that all connections share. A task is woken by the same waker all its
        // life, so it takes the lock once, and once more when it was woken for this.
        let is_due = !is_waiting || running.has_changed().unwrap_or(true);
        if polled.is_pending() && !is_stopping && is_due {
            is_waiting = true;
            is_stopping = stopping.as_mut().poll(context).is_ready();
            if is_stopping {
                connection.as_mut().stop();
                return connection.as_mut().poll(context);
            }
        }
        polled
    })
    .await
}

/// What answers all connections.
#[derive(Clone)]
struct Service {
    shortcut: Option<Arc<dyn Shortcut>>,
    router: Router,
}

/// What answers the requests of one connection that hyper reads.
struct Routed {
    router: Router,
    peer: SocketAddr,
    /// The answer to the first of them, if it is there already.
    first: Mutex<Option<Response<Body>>>,
}

impl hyper::service::Service<Request<Incoming>> for Routed {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let first = self
            .first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(first) = first {
            return Box::pin(ready(Ok(first)));
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        Box::pin(self.router.clone().oneshot(request))
    }
}
