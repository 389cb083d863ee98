//! A wire to the nats-server that can go deaf, or be cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    port: u16,
    deaf: Arc<AtomicBool>,
    cuts: watch::Sender<u64>,
}

impl Proxy {
    pub async fn to(nats_url: &str) -> Self {
        let server = nats_url.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the test has what it needs");
        let port = listener
            .local_addr()
            .expect("the test has what it needs")
            .port();
        let deaf = Arc::new(AtomicBool::new(false));
        let cuts = watch::Sender::new(0);
        tokio::spawn({
            let (deaf, cuts) = (Arc::clone(&deaf), cuts.clone());
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let Ok(server) = TcpStream::connect(&server).await else {
                        continue;
                    };
                    let (deaf, mut cut) = (Arc::clone(&deaf), cuts.subscribe());
                    tokio::spawn(async move {
                        tokio::select! {
                            () = carry(client, server, &deaf) => {}
                            _ = cut.changed() => {}
                        }
                    });
                }
            }
        });
        Self { port, deaf, cuts }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// From now on what the server answers is lost; what is sent to it arrives.
    pub fn lose_answers(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }

    /// Cuts every connection; the next ones hear again.
    pub fn cut(&self) {
        self.deaf.store(false, Ordering::SeqCst);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, deaf: &AtomicBool) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answers = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
            let heard = !deaf.load(Ordering::SeqCst);
            if heard && to_client.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        () = answers => {}
    }
}
