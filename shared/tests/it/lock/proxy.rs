//! A proxy in front of a redis-server: holds requests back, or loses a reply whose request was executed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use tollgate::embedded::Temporary;

/// Ends with its runtime; its socket lies in the server's directory, which ends with the server.
pub(super) struct Proxy {
    socket: PathBuf,
    control: Arc<Control>,
}

struct Control {
    /// Requests pass while this is true.
    open: watch::Sender<bool>,
    /// So many replies are still to be lost, each with its connection.
    lose: AtomicU32,
    /// Requests with this in them lose their replies.
    lose_of: &'static str,
}

impl Proxy {
    /// In front of `redis`. Loses replies, when told to, to requests in which the text `lose_of` occurs.
    pub(super) fn new(redis: &Temporary, lose_of: &'static str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let socket = redis.dir().join(format!("proxy{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let listener = UnixListener::bind(&socket).unwrap();
        let control = Arc::new(Control { open: watch::Sender::new(true), lose: AtomicU32::new(0), lose_of });
        let (target, shared) = (redis.socket().to_path_buf(), Arc::clone(&control));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&target).await else { continue };
                tokio::spawn(Arc::clone(&shared).connection(client, server));
            }
        });
        Self { socket, control }
    }

    pub(super) fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Requests wait in the proxy from now on.
    pub(super) fn hold(&self) {
        self.control.open.send_replace(false);
    }

    /// What waits goes on, also of clients that are gone.
    pub(super) fn open(&self) {
        self.control.open.send_replace(true);
    }

    /// The next `count` such requests are executed, but their clients see a closed connection.
    pub(super) fn lose_replies(&self, count: u32) {
        self.control.lose.store(count, Ordering::SeqCst);
    }

    pub(super) fn replies_to_lose(&self) -> u32 {
        self.control.lose.load(Ordering::SeqCst)
    }
}

impl Control {
    async fn connection(self: Arc<Self>, client: UnixStream, server: UnixStream) {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let replies = tokio::spawn(forward(from_server, to_client));
        let lost = self.requests(from_client, to_server).await;
        if lost {
            replies.abort();
        }
    }

    /// Passes requests on; true if the reply to the last one is to be lost.
    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> bool {
        let mut buffer = vec![0; 65_536];
        let mut open = self.open.subscribe();
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let _ = open.wait_for(|open| *open).await;
            let text = String::from_utf8_lossy(&buffer[..count]);
            let lose = text.contains(self.lose_of)
                && self.lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
            if lose {
                // Executed for certain: the reply is read here, and goes nowhere.
                let mut reply =
                    UnixStream::connect(to.peer_addr().unwrap().as_pathname().unwrap()).await.unwrap();
                reply.write_all(&buffer[..count]).await.unwrap();
                let _ = reply.read(&mut buffer).await;
                return true;
            }
            if to.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
        false
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}
