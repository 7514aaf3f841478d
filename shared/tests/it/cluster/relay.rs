//! A way to a node by TCP that counts the scripts that are called through it, and loses what it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of the next script that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trap {
    /// It is executed, and nobody hears of it.
    DropReply = 1,
    /// It never comes to the node.
    DropRequest = 2,
    /// Half of the reply arrives.
    CutReply = 3,
    /// This one and all after it wait for an answer as long as they like; whoever opens a connection finds all well.
    Hold = 4,
}

pub(super) struct Relay {
    pub(super) port: u16,
    scripts: AtomicU64,
    armed: AtomicU8,
}

impl Relay {
    /// Leads to a port of this machine.
    pub(super) async fn listen(to: u16) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let relay = Arc::new(Self { port, scripts: AtomicU64::new(0), armed: AtomicU8::new(0) });
        let shared = relay.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(node) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
                tokio::spawn(shared.clone().run(client, node));
            }
        });
        relay
    }

    pub(super) fn scripts(&self) -> u64 {
        self.scripts.load(Ordering::SeqCst)
    }

    /// What was armed is taken back.
    pub(super) fn disarm(&self) {
        self.armed.store(0, Ordering::SeqCst);
    }

    pub(super) fn arm(&self, trap: Trap) {
        self.armed.store(trap as u8, Ordering::SeqCst);
    }

    /// Requests of a link come one at a time: a read that holds EVALSHA is one call.
    async fn run(self: Arc<Self>, mut client: TcpStream, mut node: TcpStream) {
        let (mut request, mut reply) = (vec![0; 65_536], vec![0; 65_536]);
        let mut trap = 0;
        loop {
            tokio::select! {
                read = client.read(&mut request) => {
                    let Ok(length @ 1..) = read else { return };
                    if request[..length].windows(7).any(|word| word.eq_ignore_ascii_case(b"EVALSHA")) {
                        self.scripts.fetch_add(1, Ordering::SeqCst);
                        trap = self.armed.load(Ordering::SeqCst);
                        if trap != Trap::Hold as u8 {
                            self.armed.store(0, Ordering::SeqCst);
                        }
                    }
                    if trap == Trap::Hold as u8 {
                        continue;
                    }
                    if trap == Trap::DropRequest as u8 {
                        return;
                    }
                    if node.write_all(&request[..length]).await.is_err() {
                        return;
                    }
                }
                read = node.read(&mut reply) => {
                    let Ok(length @ 1..) = read else { return };
                    if trap == Trap::DropReply as u8 {
                        return;
                    }
                    let sent = if trap == Trap::CutReply as u8 { length / 2 } else { length };
                    if client.write_all(&reply[..sent]).await.is_err() || sent < length {
                        return;
                    }
                }
            }
        }
    }
}
