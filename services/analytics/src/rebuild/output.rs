//! What a rebuild says while it works.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use tokio::sync::mpsc;

/// Lines that wait for whoever reads them.
const QUEUE: usize = 16;

/// How long a reader may take to make room. Nothing is counted while the last lines are said, so a
/// terminal that stands still must not hold a rebuild up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the lines go. When nobody reads any more, or not fast enough, every call is an error, so
/// that whoever works for that reader stops.
pub struct Output {
    lines: mpsc::Sender<Bytes>,
    patience: Duration,
}

/// An output, and what is said in it.
pub fn channel() -> (Output, mpsc::Receiver<Bytes>) {
    with_patience(PATIENCE)
}

fn with_patience(patience: Duration) -> (Output, mpsc::Receiver<Bytes>) {
    let (lines, reader) = mpsc::channel(QUEUE);
    (Output { lines, patience }, reader)
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
        tokio::time::timeout(self.patience, self.lines.send(text.into()))
            .await
            .context("given up: whoever asked does not read the answer")?
            .context("given up: whoever asked is gone")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_stands_still_is_given_up() {
        let (output, reader) = with_patience(Duration::from_millis(1));
        for _ in 0..QUEUE {
            output.line("one more").await.unwrap();
        }
        let error = output.progress("too much").await.unwrap_err();
        assert!(error.to_string().contains("does not read"), "{error:#}");
        drop(reader);
        let error = output.line("to nobody").await.unwrap_err();
        assert!(error.to_string().contains("is gone"), "{error:#}");
    }
}
