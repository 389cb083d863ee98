use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest answer that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// A connection that is kept open from request to request. As little of HTTP/1.1 as that takes:
/// the load should cost the machine little.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What is of interest in an answer.
pub struct Answer {
    pub status: u16,
    /// After how many seconds to ask again, if it says so.
    pub retry_after: Option<usize>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(4 << 10),
        })
    }

    /// Sends a piece of a request.
    pub async fn send(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(piece).await?)
    }

    /// Sends a request and reads the whole answer.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.read().await?;
            if let Some(end) = self
                .buffer
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n")
            {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head])?;
        let status = text
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .context("no status")?;
        let number = |field: &str| {
            text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_field = name.eq_ignore_ascii_case(field);
                is_field.then(|| value.trim().parse::<usize>().ok())?
            })
        };
        let retry_after = number("retry-after");
        let length = number("content-length")
            .or((status == 204).then_some(0))
            .context("no length")?;
        while self.buffer.len() < head + length {
            self.read().await?;
        }
        Ok(Answer {
            status,
            retry_after,
        })
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        ensure!(self.buffer.len() <= LONGEST, "the answer is too long");
        let read = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the connection was closed");
        Ok(())
    }
}
