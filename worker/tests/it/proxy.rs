//! A way to Redis on which connections can become half-open: the peer is there, and nothing comes any more.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

pub(crate) struct Proxy {
    dir: tempfile::TempDir,
    generation: watch::Sender<u32>,
    garbled: Garbled,
}

/// What happens to replies on their way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replies {
    /// Bytes a second that each connection carries.
    pub(crate) rate: Option<usize>,
    /// Found once, and replaced by as many bytes.
    pub(crate) garbled: Option<(&'static [u8], &'static [u8])>,
}

impl Proxy {
    pub(crate) fn start(target: &Path) -> Self {
        Self::start_with(target, Replies::default())
    }

    pub(crate) fn start_with(target: &Path, replies: Replies) -> Self {
        let garbled = Arc::new(Mutex::new(replies.garbled));
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let proxy = Self { dir, generation: watch::Sender::new(0), garbled: garbled.clone() };
        let (target, generation): (PathBuf, _) = (target.to_owned(), proxy.generation.subscribe());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = UnixStream::connect(&target).await.unwrap().into_split();
                let requests = (None, Arc::default());
                tokio::spawn(carry(from_client, to_server, generation.clone(), requests));
                let replies = (replies.rate, garbled.clone());
                tokio::spawn(carry(from_server, to_client, generation.clone(), replies));
            }
        });
        proxy
    }

    /// Whether what was to be garbled has passed.
    pub(crate) fn has_garbled(&self) -> bool {
        self.garbled.lock().unwrap().is_none()
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.dir.path().join("s").display())
    }

    /// From now on nothing passes, and nobody gets through any more.
    pub(crate) fn cut(&self) {
        std::fs::remove_file(self.dir.path().join("s")).unwrap();
        self.swallow();
    }

    /// From now on nothing passes on the connections there are. New ones work.
    pub(crate) fn swallow(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}

type Garbled = Arc<Mutex<Option<(&'static [u8], &'static [u8])>>>;

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut generation: watch::Receiver<u32>,
    (rate, garbled): (Option<usize>, Garbled),
) {
    let born = *generation.borrow_and_update();
    let mut buffer = vec![0; 65_536];
    loop {
        let read = tokio::select! {
            biased;
            swallowed = async { generation.wait_for(|now| *now != born).await.is_ok() } => {
                if swallowed { std::future::pending().await } else { 0 }
            }
            read = from.read(&mut buffer) => read.unwrap_or(0),
        };
        if let Some(rate) = rate {
            tokio::time::sleep(Duration::from_secs(1) * read as u32 / rate as u32).await;
        }
        garble(&mut buffer[..read], &garbled);
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

fn garble(bytes: &mut [u8], garbled: &Garbled) {
    let mut garbled = garbled.lock().unwrap();
    let Some((found, instead)) = *garbled else { return };
    if let Some(at) = bytes.windows(found.len()).position(|window| window == found) {
        bytes[at..at + found.len()].copy_from_slice(instead);
        *garbled = None;
    }
}
