//! A way to Redis on which connections can become half-open: the peer is there, and nothing comes any more.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

pub(crate) struct Proxy {
    dir: tempfile::TempDir,
    generation: watch::Sender<u32>,
}

impl Proxy {
    pub(crate) fn start(target: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let proxy = Self { dir, generation: watch::Sender::new(0) };
        let (target, generation): (PathBuf, _) = (target.to_owned(), proxy.generation.subscribe());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = UnixStream::connect(&target).await.unwrap().into_split();
                tokio::spawn(carry(from_client, to_server, generation.clone()));
                tokio::spawn(carry(from_server, to_client, generation.clone()));
            }
        });
        proxy
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

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut generation: watch::Receiver<u32>) {
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
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
