//! A connection without hyper, as long as all requests on it are simple ones.
//!
//! What hyper does for a request costs more than a redirect. So a GET or HEAD without a body is read
//! where the kernel put it, and its answer goes out from memory that all connections of a thread
//! share. Those that are not for the shortcut are the router's, and answered here, too, if the
//! answer is small. With anything else the connection goes on to hyper, with what was received.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::ConnectInfo;
use axum::http::{Method, Request};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::head::Received;
use super::{Head, Shortcut, Shortened, written};

/// How much is received at once, and how much of a request may wait here for the rest, in bytes.
const RECEIVED: usize = 16 << 10;

/// How much is answered before it is sent, in bytes and one answer: short requests in one packet may
/// have long answers.
const ANSWERED: usize = 64 << 10;

/// The longest body of an answer of the router that goes out from here, in bytes.
const BODY: u64 = 64 << 10;

/// A connection that is answered here. As a future, it ends when the connection does, or when hyper
/// has to go on.
pub(super) struct Direct {
    /// None once it was handed over.
    connection: Option<TcpStream>,
    peer: SocketAddr,
    shortcut: Arc<dyn Shortcut>,
    router: Router,
    /// Received and not answered.
    unread: Vec<u8>,
    /// All that is unread is the beginning of one request.
    is_part: bool,
    /// Answers that are to be sent, of which so many bytes were.
    unsent: Vec<u8>,
    sent: usize,
    /// What has to be over before anything else is done.
    waiting: Option<BoxFuture<'static, Over>>,
    /// The next request is for hyper.
    is_for_hyper: bool,
    /// The answer to that request, if it is there already.
    first: Option<Response>,
    is_stopping: bool,
}

/// A connection on which hyper goes on.
pub(super) struct HandedOver {
    pub connection: TcpStream,
    /// What was received from it and not answered.
    pub unread: Vec<u8>,
    /// The answer to the first request of that, if it is there already.
    pub first: Option<Response>,
}

impl HandedOver {
    /// A connection that is hyper's from the beginning.
    pub fn new(connection: TcpStream) -> Self {
        Self {
            connection,
            unread: Vec::new(),
            first: None,
        }
    }
}

/// What was waited for.
enum Over {
    /// The answers that are unsent may go out.
    Settled,
    /// The router has answered the first request that is unread, which has so many bytes.
    Answered(Vec<u8>, usize),
    /// It has, with more than goes out from here.
    Streamed(Response),
}

/// What becomes of one request.
enum Taken {
    Shortened(Shortened),
    Routed(Request<Body>),
    /// Its target is none.
    Other,
}

/// Why no more requests are answered for now.
enum Pause {
    /// There is no whole one.
    Part,
    /// There is enough to send, or something to wait for.
    Enough,
    /// The next one is for hyper.
    Hyper,
}

/// Memory that the connections of a thread share.
struct Room {
    received: Box<[u8]>,
    answers: Vec<u8>,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::new(Room {
        received: vec![0; RECEIVED].into(),
        answers: Vec::new(),
    });
}

impl Direct {
    pub(super) fn new(
        connection: TcpStream,
        peer: SocketAddr,
        shortcut: Arc<dyn Shortcut>,
        router: Router,
    ) -> Self {
        Self {
            connection: Some(connection),
            peer,
            shortcut,
            router,
            unread: Vec::new(),
            is_part: false,
            unsent: Vec::new(),
            sent: 0,
            waiting: None,
            is_for_hyper: false,
            first: None,
            is_stopping: false,
        }
    }

    /// Ends when what has been received is answered.
    pub(super) fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Receives something, if need be, and answers what can be answered now; whether the client goes on.
    fn poll_go_on(&mut self, room: &mut Room, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        room.answers.clear();
        let pause = if self.unread.is_empty() {
            let received = ready!(self.poll_receive(&mut room.received, context))?;
            if received.is_empty() {
                return Poll::Ready(Ok(false));
            }
            let (done, pause) = self.answer(received, &mut room.answers);
            self.unread.extend_from_slice(&received[done..]);
            pause
        } else {
            if self.is_part {
                let received = ready!(self.poll_receive(&mut room.received, context))?;
                if received.is_empty() {
                    return Poll::Ready(Ok(false));
                }
                self.unread.extend_from_slice(received);
                // A head ends with a line: who sends a byte at a time has few of them read again.
                if !received.contains(&b'\n') && self.unread.len() < RECEIVED {
                    return Poll::Ready(Ok(true));
                }
            }
            let mut unread = std::mem::take(&mut self.unread);
            let (done, pause) = self.answer(&unread, &mut room.answers);
            unread.drain(..done);
            self.unread = unread;
            pause
        };
        self.is_part = matches!(pause, Pause::Part);
        if self.waiting.is_none() {
            self.send_now(&mut room.answers, context)?;
        }
        self.unsent.append(&mut room.answers);
        let is_too_long = self.is_part && self.unread.len() >= RECEIVED;
        self.is_for_hyper = is_too_long || matches!(pause, Pause::Hyper);
        Poll::Ready(Ok(true))
    }

    fn poll_receive<'a>(
        &mut self,
        to: &'a mut [u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<&'a [u8]>> {
        let mut buffer = ReadBuf::new(to);
        ready!(open(&mut self.connection)?.poll_read(context, &mut buffer))?;
        let received = buffer.filled().len();
        Poll::Ready(Ok(&to[..received]))
    }

    /// Answers the requests in `bytes`, one after the other; how many bytes that were, and why it
    /// stopped.
    fn answer(&mut self, bytes: &[u8], answers: &mut Vec<u8>) -> (usize, Pause) {
        let mut done = 0;
        loop {
            if done == bytes.len() {
                return (done, Pause::Part);
            }
            if answers.len() >= ANSWERED {
                return (done, Pause::Enough);
            }
            let mut is_to_head = false;
            let (taken, length) = match Head::receive(&bytes[done..], |head| {
                is_to_head = head.method == Method::HEAD;
                self.take(&head, answers)
            }) {
                Received::Whole(taken, length) => (taken, length),
                Received::Part => return (done, Pause::Part),
                Received::Other => return (done, Pause::Hyper),
            };
            match taken {
                Taken::Shortened(Shortened::Now) => done += length,
                Taken::Shortened(Shortened::After(settled)) => {
                    self.waiting = Some(settled.map(|()| Over::Settled).boxed());
                    return (done + length, Pause::Enough);
                }
                Taken::Shortened(Shortened::With(response)) => {
                    // Its body is in memory, so this is there at once.
                    let answer = std::future::ready(response);
                    let mut answer = answered(answer, is_to_head, length).boxed();
                    match (&mut answer).now_or_never() {
                        Some(Over::Answered(answer, length)) => {
                            answers.extend_from_slice(&answer);
                            done += length;
                            continue;
                        }
                        Some(over) => self.waiting = Some(std::future::ready(over).boxed()),
                        None => self.waiting = Some(answer),
                    }
                    return (done, Pause::Enough);
                }
                Taken::Routed(request) => {
                    let answer = self.router.clone().oneshot(request);
                    let answer = answer.map(|answer| answer.unwrap_or_else(|never| match never {}));
                    self.waiting = Some(answered(answer, is_to_head, length).boxed());
                    return (done, Pause::Enough);
                }
                Taken::Shortened(Shortened::Not) | Taken::Other => return (done, Pause::Hyper),
            }
        }
    }

    /// What becomes of a request.
    fn take(&self, head: &Head<'_>, answers: &mut Vec<u8>) -> Taken {
        match self.shortcut.answer(head, self.peer, answers) {
            Shortened::Not => {}
            shortened => return Taken::Shortened(shortened),
        }
        let request = Request::builder().method(head.method).uri(head.target);
        let Ok(mut request) = request.body(Body::empty()) else {
            return Taken::Other;
        };
        *request.headers_mut() = head.fields.to_map();
        request.extensions_mut().insert(ConnectInfo(self.peer));
        Taken::Routed(request)
    }

    /// Sends of `answers` what the kernel takes now, and leaves the rest.
    fn send_now(&mut self, answers: &mut Vec<u8>, context: &mut Context<'_>) -> io::Result<()> {
        while !answers.is_empty() {
            match open(&mut self.connection)?.poll_write(context, answers) {
                Poll::Ready(sent) => answers.drain(..nonzero(sent?)?),
                Poll::Pending => break,
            };
        }
        Ok(())
    }

    /// Sends what is unsent.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.unsent.len() {
            let rest = &self.unsent[self.sent..];
            let sent = ready!(open(&mut self.connection)?.poll_write(context, rest))?;
            self.sent += nonzero(sent)?;
        }
        // Most never need either.
        self.unsent = Vec::new();
        self.sent = 0;
        if self.unread.is_empty() {
            self.unread = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    fn hand_over(&mut self) -> Option<HandedOver> {
        Some(HandedOver {
            connection: self.connection.take()?,
            unread: std::mem::take(&mut self.unread),
            first: self.first.take(),
        })
    }
}

impl Future for Direct {
    type Output = io::Result<Option<HandedOver>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            if let Some(waiting) = &mut this.waiting {
                let over = ready!(waiting.as_mut().poll(context));
                this.waiting = None;
                match over {
                    Over::Settled => {}
                    Over::Answered(answer, length) => {
                        this.unread.drain(..length);
                        this.unsent.extend(answer);
                    }
                    Over::Streamed(response) => {
                        this.first = Some(response);
                        this.is_for_hyper = true;
                    }
                }
            }
            ready!(this.poll_send(context))?;
            if this.is_for_hyper {
                return Poll::Ready(Ok(this.hand_over()));
            }
            match ROOM.with_borrow_mut(|room| this.poll_go_on(room, context)) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                // What was received is answered.
                Poll::Pending if this.is_stopping => return Poll::Ready(Ok(None)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// An answer of the router to a request of so many bytes, if it is small and there as a whole.
async fn answered(answer: impl Future<Output = Response>, is_to_head: bool, length: usize) -> Over {
    let response = answer.await;
    if response
        .body()
        .size_hint()
        .exact()
        .is_none_or(|bytes| bytes > BODY)
    {
        return Over::Streamed(response);
    }
    let (head, body) = response.into_parts();
    let body = match axum::body::to_bytes(body, usize::try_from(BODY).unwrap_or(0)).await {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "the body of an answer broke off");
            Bytes::new()
        }
    };
    let mut written = Vec::with_capacity(512 + body.len());
    written::whole(&mut written, head.status, &head.headers, &body, is_to_head);
    Over::Answered(written, length)
}

/// The connection, as long as nobody else has it.
fn open(connection: &mut Option<TcpStream>) -> io::Result<Pin<&mut TcpStream>> {
    let connection = connection.as_mut().map(Pin::new);
    connection.ok_or_else(|| io::ErrorKind::NotConnected.into())
}

/// A connection that takes nothing is broken.
fn nonzero(sent: usize) -> io::Result<usize> {
    if sent == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(sent)
}

#[cfg(test)]
mod tests;
