use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use futures_util::stream;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::http::{serve, written};
use crate::shutdown::Shutdown;

/// `/s…` leads to itself at length, `/wait` waits, `/with` is a whole answer.
struct Shorts {
    gate: watch::Receiver<bool>,
}

/// How long the address is to which a shortcut leads.
const LONG: usize = 30_000;

fn address(path: &str) -> String {
    format!("https://a.example{path}/{}", "x".repeat(LONG))
}

impl Shortcut for Shorts {
    fn answer(&self, head: &Head<'_>, _: SocketAddr, to: &mut Vec<u8>) -> Shortened {
        match head.path() {
            "/wait" => {
                written::redirect(to, StatusCode::FOUND, "https://a.example/waited");
                let mut gate = self.gate.clone();
                Shortened::After(Box::pin(async move {
                    gate.wait_for(|is_open| *is_open).await.unwrap();
                }))
            }
            "/with" => Shortened::With((StatusCode::GONE, "gone").into_response()),
            path if path.starts_with("/s") => {
                written::redirect(to, StatusCode::FOUND, &address(path));
                Shortened::Now
            }
            _ => Shortened::Not,
        }
    }
}

/// A server, and how often its router was asked for the stream.
struct Server {
    address: SocketAddr,
    gate: watch::Sender<bool>,
    streamed: Arc<AtomicUsize>,
    shutdown: Shutdown,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (gate, open) = watch::channel(false);
        let streamed = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&streamed);
        let three = move || async move {
            counted.fetch_add(1, Ordering::Relaxed);
            let parts = ["one", "two", "three"].map(Ok::<_, Infallible>);
            Body::from_stream(stream::iter(parts))
        };
        let router = Router::new()
            .route("/router", get(|| async { "from the router" }))
            .route("/nothing", get(|| async { StatusCode::NO_CONTENT }))
            .route("/large", get(|| async { "x".repeat(100_000) }))
            .route("/chunks", get(three))
            .route("/echo", post(|body: String| async { body }));
        let shutdown = Shutdown::new();
        let serving = tokio::spawn({
            let shutdown = shutdown.clone();
            async move {
                let shorts = Arc::new(Shorts { gate: open });
                serve(listener, router, Some(shorts), &shutdown).await;
            }
        });
        Self {
            address,
            gate,
            streamed,
            shutdown,
            serving,
        }
    }

    async fn connect(&self) -> Client {
        let connection = TcpStream::connect(self.address).await.unwrap();
        Client(BufReader::new(connection))
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn send(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Everything up to `end`, which ends a line.
    async fn receive(&mut self, end: &str) -> String {
        let mut received = Vec::new();
        let reading = async {
            while !received.ends_with(end.as_bytes()) {
                let read = self.0.read_until(b'\n', &mut received).await.unwrap();
                assert_ne!(read, 0, "the connection ended");
            }
        };
        let done = timeout(Duration::from_secs(20), reading).await;
        assert!(done.is_ok(), "only {} bytes", received.len());
        String::from_utf8(received).unwrap()
    }

    /// An answer: its status and its body.
    async fn answer(&mut self) -> (u16, String) {
        let head = self.receive("\r\n\r\n").await;
        let status = head["HTTP/1.1 ".len()..][..3].parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).await.unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    /// Nothing comes for a moment.
    async fn gets_nothing(&mut self) {
        let came = timeout(Duration::from_millis(50), self.0.fill_buf()).await;
        assert!(came.is_err(), "nothing may come yet");
    }

    /// Whether the server has closed the connection.
    async fn is_closed(&mut self) -> bool {
        let read = timeout(Duration::from_secs(20), self.0.read_u8());
        read.await.unwrap().is_err()
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a.example\r\n\r\n")
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_in_their_order_whoever_answers_them() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let post = "POST /echo HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\nhello";
    let all = [
        &request("/s1"),
        &request("/router"),
        &request("/with"),
        &request("/nothing"),
        &request("/no-such"),
        &request("/s2"),
        post,
        &request("/router"),
    ];
    client.send(&all.concat()).await;
    let expected = [
        (302, ""),
        (200, "from the router"),
        (410, "gone"),
        (204, ""),
        (404, ""),
        (302, ""),
        (200, "hello"),
        (200, "from the router"),
    ];
    for (status, body) in expected {
        assert_eq!(client.answer().await, (status, body.to_owned()));
    }
}

#[tokio::test]
async fn a_request_may_come_in_pieces() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for path in ["/s1", "/router", "/s2"] {
        let expected = if path == "/router" { 200 } else { 302 };
        for piece in request(path).as_bytes().chunks(3) {
            client.0.write_all(piece).await.unwrap();
            client.0.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(client.answer().await.0, expected);
    }
}

#[tokio::test]
async fn a_stream_and_a_large_body_go_out_by_hyper_and_are_made_once() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(&(request("/s1") + &request("/chunks"))).await;
    assert_eq!(client.answer().await.0, 302);
    let streamed = client.receive("0\r\n\r\n").await;
    assert!(
        streamed.contains("transfer-encoding: chunked"),
        "{streamed}"
    );
    assert!(streamed.contains("3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n"));
    assert_eq!(server.streamed.load(Ordering::Relaxed), 1);
    client.send(&request("/chunks")).await;
    client.receive("0\r\n\r\n").await;
    assert_eq!(server.streamed.load(Ordering::Relaxed), 2);

    let mut client = server.connect().await;
    client.send(&request("/large")).await;
    assert_eq!(client.answer().await.1.len(), 100_000);
}

#[tokio::test]
async fn head_gets_no_body() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for path in ["/with", "/router", "/s1"] {
        client.send(&request(path).replace("GET", "HEAD")).await;
    }
    for (status, length) in [("410", "4"), ("200", "15"), ("302", "0")] {
        let head = client.receive("\r\n\r\n").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.contains(&format!("content-length: {length}\r\n")));
    }
}

#[tokio::test]
async fn an_answer_waits_for_what_it_promises() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(&(request("/wait") + &request("/s1"))).await;
    client.gets_nothing().await;
    server.gate.send_replace(true);
    let head = client.receive("\r\n\r\n").await;
    assert!(head.contains("location: https://a.example/waited\r\n"));
    let head = client.receive("\r\n\r\n").await;
    assert!(head.contains(&address("/s1")));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_answered_without_bound() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    // 30 MB of answers for 40 KB of requests.
    let requests = request("/s1").repeat(1_000);
    client.send(&requests).await;
    for _ in 0..1_000 {
        assert_eq!(client.answer().await.0, 302);
    }
}

#[tokio::test]
async fn a_long_head_is_hypers() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let cookie = "x".repeat(2 * RECEIVED);
    let long = format!("GET /router HTTP/1.1\r\ncookie: {cookie}\r\n\r\n");
    client.send(&long).await;
    assert_eq!(client.answer().await.1, "from the router");
    let endless = format!("GET /router HTTP/1.1\r\ncookie: {}", "x".repeat(1 << 20));
    // The server may answer and close before it has read everything.
    let _ = client.0.write_all(endless.as_bytes()).await;
    let mut refused = Vec::new();
    let _ = client.0.read_to_end(&mut refused).await;
    let refused = String::from_utf8_lossy(&refused);
    assert!(refused.is_empty() || refused.contains(" 431 "), "{refused}");
}

#[tokio::test]
async fn a_client_that_has_nothing_more_to_say_is_answered() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(&(request("/router") + &request("/s1"))).await;
    client.0.shutdown().await.unwrap();
    assert_eq!(client.answer().await.0, 200);
    assert_eq!(client.answer().await.0, 302);
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_stop_closes_idle_connections_and_finishes_what_has_begun() {
    let server = Server::start().await;
    let (mut idle, mut fresh, mut waiting) = (
        server.connect().await,
        server.connect().await,
        server.connect().await,
    );
    idle.send(&request("/s1")).await;
    idle.answer().await;
    fresh.send("GET /s1 HT").await;
    waiting.send(&request("/s1")).await;
    waiting.answer().await;
    waiting.send(&request("/wait")).await;
    waiting.gets_nothing().await;
    server.shutdown.begin();
    assert!(idle.is_closed().await);
    assert!(fresh.is_closed().await);
    server.gate.send_replace(true);
    assert_eq!(waiting.answer().await.0, 302);
    assert!(waiting.is_closed().await);
    timeout(Duration::from_secs(20), server.serving)
        .await
        .unwrap()
        .unwrap();
}
