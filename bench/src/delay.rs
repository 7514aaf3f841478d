//! A link that takes its time: a unix socket whose bytes arrive at the server's, and the answers back, a while later.
//!
//! In order and without loss, as a network's links are. On one machine round trips cost CPU alone; behind this they
//! cost time, which is what a lock that asks its nodes at once is about.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How long each packet takes, one way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delay {
    pub(crate) least: Duration,
    /// At most so much more, at random.
    pub(crate) jitter: Duration,
}

impl From<Duration> for Delay {
    fn from(least: Duration) -> Self {
        Self { least, jitter: Duration::ZERO }
    }
}

impl Delay {
    fn draw(self) -> Duration {
        self.least + self.jitter.mul_f64(rand::random())
    }
}

/// Listens at `at`, on the current runtime and until it ends, and leads to the server's socket `to`.
pub(crate) fn listen(at: &Path, to: &Path, delay: impl Into<Delay>) -> Result<()> {
    let delay = delay.into();
    let listener = UnixListener::bind(at)?;
    let to = PathBuf::from(to);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = UnixStream::connect(&to).await else { return };
            let (from_near, to_near) = near.into_split();
            let (from_far, to_far) = far.into_split();
            tokio::spawn(carry(from_near, to_far, delay));
            tokio::spawn(carry(from_far, to_near, delay));
        }
    });
    Ok(())
}

/// One direction of one connection. Whichever end closes first ends it.
async fn carry(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin,
    delay: Delay,
) {
    let (sender, mut under_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        let mut bytes = vec![0; 64 * 1024];
        let mut arrives_at = Instant::now();
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            // None overtakes another.
            arrives_at = arrives_at.max(Instant::now() + delay.draw());
            if sender.send((arrives_at, bytes[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    while let Some((arrives_at, bytes)) = under_way.recv().await {
        sleep_until(arrives_at).await;
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
