//! A proxy in front of a redis-server: holds requests back, or loses one, or its reply.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
    /// Requests with this in them wait.
    held: watch::Sender<Option<&'static str>>,
    /// How long everything takes, one way.
    delay: Duration,
    /// What is still to be lost.
    lose: Mutex<Option<(Lose, &'static str)>>,
}

/// What gets lost, with its connection.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Lose {
    /// It never reaches the server.
    Request,
    /// The server has executed the request.
    Reply,
}

impl Proxy {
    /// In front of `redis`.
    pub(super) fn new(redis: &Temporary) -> Self {
        Self::slow(redis, Duration::ZERO)
    }

    /// In front of `redis`, behind a link on which each packet takes so long, one way.
    pub(super) fn slow(redis: &Temporary, delay: Duration) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let socket = redis.dir().join(format!("proxy{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let listener = UnixListener::bind(&socket).unwrap();
        let control = Arc::new(Control { held: watch::Sender::new(None), delay, lose: Mutex::new(None) });
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

    /// Requests in which `text` occurs wait in the proxy from now on.
    pub(super) fn hold(&self, text: &'static str) {
        self.control.held.send_replace(Some(text));
    }

    /// What waits goes on, also of clients that are gone.
    pub(super) fn open(&self) {
        self.control.held.send_replace(None);
    }

    /// Loses the next request in which `text` occurs, or its reply; its client sees a closed connection.
    pub(super) fn lose(&self, what: Lose, text: &'static str) {
        *self.control.lose.lock().unwrap() = Some((what, text));
    }

    pub(super) fn has_lost(&self) -> bool {
        self.control.lose.lock().unwrap().is_none()
    }
}

impl Control {
    async fn connection(self: Arc<Self>, client: UnixStream, server: UnixStream) {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let replies = tokio::spawn(forward(from_server, to_client, self.delay));
        let lost = self.requests(from_client, to_server).await;
        if lost {
            replies.abort();
        }
    }

    /// Passes requests on; true if the last one is lost.
    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> bool {
        let mut buffer = vec![0; 65_536];
        let mut held = self.held.subscribe();
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            pass(self.delay).await;
            let request = String::from_utf8_lossy(&buffer[..count]).into_owned();
            let _ = held.wait_for(|held| !held.is_some_and(|text| request.contains(text))).await;
            let lose = self.lose.lock().unwrap().take_if(|(_, text)| request.contains(*text));
            if let Some((what, _)) = lose {
                if what == Lose::Reply {
                    // Executed for certain: its reply is read here, and goes nowhere.
                    let address = to.peer_addr().unwrap();
                    let mut aside = UnixStream::connect(address.as_pathname().unwrap()).await.unwrap();
                    aside.write_all(request.as_bytes()).await.unwrap();
                    let _ = aside.read(&mut buffer).await;
                }
                return true;
            }
            if to.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
        false
    }
}

/// Calls of these tests wait for their answers, so what is held up for a while holds up nothing else.
async fn pass(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        pass(delay).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}
