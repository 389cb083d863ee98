//! What stands between the servers of a cluster: every route goes through it, so that one server
//! can be cut off from the others while its clients still reach it.

use std::net::SocketAddr;
use std::sync::OnceLock;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How much a server may say before it must have told its name, in bytes.
const INTRODUCTION: usize = 64 << 10;

/// Carries the routes between servers. It goes with its value.
pub struct Wall {
    cut_off: watch::Sender<Option<usize>>,
    listeners: JoinSet<()>,
}

impl Wall {
    /// One that nothing goes through yet.
    pub fn new() -> Self {
        Self {
            cut_off: watch::Sender::new(None),
            listeners: JoinSet::new(),
        }
    }

    /// Carries whatever comes to `listener` to the server number `node`, at `address`.
    pub fn carry(&mut self, listener: TcpListener, node: usize, address: SocketAddr) {
        let cut_off = self.cut_off.clone();
        self.listeners.spawn(async move {
            let mut routes = JoinSet::new();
            while let Ok((inbound, _)) = listener.accept().await {
                let route = Route {
                    to: node,
                    from: OnceLock::new(),
                    cut_off: cut_off.subscribe(),
                };
                routes.spawn(route.run(inbound, address));
                while routes.try_join_next().is_some() {}
            }
        });
    }

    /// From now on nothing passes between this server and the others, and nobody is told.
    pub fn cut_off(&self, node: usize) {
        self.cut_off.send_replace(Some(node));
    }

    /// Lets everything pass again. Routes that were cut end, and the servers make new ones.
    pub fn heal(&self) {
        self.cut_off.send_replace(None);
    }
}

/// One connection from a server to another.
struct Route {
    to: usize,
    /// Known once the server has introduced itself.
    from: OnceLock<usize>,
    cut_off: watch::Receiver<Option<usize>>,
}

impl Route {
    async fn run(self, inbound: TcpStream, address: SocketAddr) {
        if !self.is_cut()
            && let Ok(outbound) = TcpStream::connect(address).await
        {
            let (from_client, to_client) = inbound.into_split();
            let (from_server, to_server) = outbound.into_split();
            let mut changes = self.cut_off.clone();
            tokio::select! {
                () = self.introduce(from_client, to_server) => {}
                () = self.pass(from_server, to_client) => {}
                _ = changes.wait_for(|cut| self.concerns(*cut)) => {}
            }
            // The connection ends here, and not before the wall is open again: both sides are left
            // to find out by themselves.
        }
        let mut changes = self.cut_off.clone();
        let _ = changes.wait_for(|cut| !self.concerns(*cut)).await;
    }

    /// Holds back what the connecting server says until it has told who it is.
    async fn introduce(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut said = Vec::new();
        while self.from.get().is_none() && said.len() < INTRODUCTION {
            match from.read_buf(&mut said).await {
                Ok(1..) => {}
                _ => return,
            }
            if let Some(node) = name(&said) {
                // It was empty.
                let _ = self.from.set(node);
            }
        }
        if !self.is_cut() && to.write_all(&said).await.is_ok() {
            self.pass(from, to).await;
        }
    }

    async fn pass(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if self.is_cut() || to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    }

    fn is_cut(&self) -> bool {
        self.concerns(*self.cut_off.borrow())
    }

    fn concerns(&self, cut: Option<usize>) -> bool {
        cut.is_some_and(|node| node == self.to || Some(&node) == self.from.get())
    }
}

/// The number in the name of the server that says this.
fn name(said: &[u8]) -> Option<usize> {
    const KEY: &[u8] = b"\"server_name\":\"n";
    let at = said.windows(KEY.len()).position(|bytes| bytes == KEY)? + KEY.len();
    let digits: String = said[at..]
        .iter()
        .map_while(|byte| byte.is_ascii_digit().then_some(char::from(*byte)))
        .collect();
    // Whole only if something stands behind it.
    (at + digits.len() < said.len()).then(|| digits.parse().ok())?
}
