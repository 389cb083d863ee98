//! What a rebuild says while it works.

use bytes::Bytes;
use tokio::sync::mpsc;

/// Lines that wait for whoever reads them.
const QUEUE: usize = 16;

/// Where the lines go. When nobody reads any more, every call is an error, so that whoever works
/// for that reader stops.
pub struct Output(mpsc::Sender<Bytes>);

/// An output, and what is said in it.
pub fn channel() -> (Output, mpsc::Receiver<Bytes>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Output(sender), receiver)
}

impl Output {
    /// Says one line.
    pub async fn line(&self, line: &str) -> anyhow::Result<()> {
        self.text(format!("{line}\n")).await
    }

    /// Says something that the next line replaces.
    pub async fn progress(&self, line: &str) -> anyhow::Result<()> {
        self.text(format!("{line}\r")).await
    }

    /// Says whole lines.
    pub async fn text(&self, text: String) -> anyhow::Result<()> {
        self.0
            .send(text.into())
            .await
            .map_err(|_| anyhow::anyhow!("given up: whoever asked is gone"))
    }
}
