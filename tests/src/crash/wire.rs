//! As little of HTTP/1.1 as a visitor needs. Not a library, because whether an answer came
//! completely has to be known for sure, and because requests should cost the machine little.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest answer that is read, in bytes; redirects have some hundred.
const LONGEST: usize = 64 << 10;

/// A connection that is kept open from request to request.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(1 << 10),
        })
    }

    /// Follows a link as a browser does; the status, once the whole answer is here. After an error
    /// the connection is of no more use.
    pub async fn follow(&mut self, code: &str, referrer: &str) -> io::Result<u16> {
        let request = format!(
            "GET /{code} HTTP/1.1\r\nhost: kurz.test\r\naccept: text/html\r\n\
             accept-language: de\r\nreferer: https://{referrer}/\r\nuser-agent: Mozilla/5.0 (X11; \
             Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\r\n"
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let body = loop {
            if let Some(end) = self
                .buffer
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n")
            {
                break end + 4;
            }
            self.read().await?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..body]).to_ascii_lowercase();
        let mut lines = head.lines();
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("http/1.1 ")?.get(..3)?.parse().ok())
            .ok_or_else(|| malformed("no status"))?;
        let length: usize = lines
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
            .ok_or_else(|| malformed("no length"))?;
        while self.buffer.len() < body + length {
            self.read().await?;
        }
        Ok(status)
    }

    async fn read(&mut self) -> io::Result<()> {
        if self.buffer.len() > LONGEST {
            return Err(malformed("too long"));
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
