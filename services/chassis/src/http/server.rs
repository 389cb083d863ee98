use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use axum::serve::{Listener as _, ListenerExt as _};
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::{Shortcut, Shortened};
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
    loop {
        let (connection, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let service = Service {
            shortcut: shortcut.clone(),
            router: router.clone(),
            peer,
        };
        tokio::spawn(answer(connection, service, running.clone()));
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
async fn answer(connection: TcpStream, service: Service, running: watch::Receiver<()>) {
    let mut http = http1::Builder::new();
    // Most answers are a head, or a head and a small body: one buffer, not a list of them.
    http.writev(false);
    let answering = http.serve_connection(TokioIo::new(connection), service);
    let mut answering = pin!(answering);
    let mut waiting = running.clone();
    let mut stopping = pin!(waiting.changed());
    let (mut is_waiting, mut is_stopping) = (false, false);
    let answered = poll_fn(|context| {
        let answered = answering.as_mut().poll(context);
        // Waiting takes a lock that all connections share. A task is woken by the same waker all its
        // life, so it takes the lock once, and once more when it was woken for this.
        let is_due = !is_waiting || running.has_changed().unwrap_or(true);
        if answered.is_pending() && !is_stopping && is_due {
            is_waiting = true;
            is_stopping = stopping.as_mut().poll(context).is_ready();
            if is_stopping {
                answering.as_mut().graceful_shutdown();
                return answering.as_mut().poll(context);
            }
        }
        answered
    });
    if let Err(error) = answered.await {
        tracing::trace!(%error, "a connection broke");
    }
}

/// What answers the requests of one connection.
struct Service {
    shortcut: Option<Arc<dyn Shortcut>>,
    router: Router,
    peer: SocketAddr,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let (mut head, body) = request.into_parts();
        if let Some(shortcut) = &self.shortcut {
            match shortcut.answer(head, self.peer) {
                Shortened::Now(response) => return Answer::Now(Some(response)),
                Shortened::Later(response) => return Answer::Later(response),
                Shortened::Not(request) => head = request,
            }
        }
        head.extensions.insert(ConnectInfo(self.peer));
        let request = Request::from_parts(head, Body::new(body));
        let answering = self.router.clone().oneshot(request);
        Answer::Later(Box::pin(async move {
            let Ok(response) = answering.await;
            response
        }))
    }
}

/// The answer to a request. Most are there at once, and cost no allocation.
enum Answer {
    Now(Option<Response<Body>>),
    Later(BoxFuture<'static, Response<Body>>),
}

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Now(response) => {
                Poll::Ready(Ok(response.take().expect("polled to its end once")))
            }
            Self::Later(response) => response.as_mut().poll(context).map(Ok),
        }
    }
}
