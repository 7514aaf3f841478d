//! A way to Redis on which answers are lost.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32};

/// What happens to a request that holds the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Redis gets so many of them, and each time the connection breaks before the answer.
    Break(u32),
    /// As `Break`, and afterwards nobody can connect.
    BreakThenRefuse,
    /// Redis gets it; the answer never comes.
    Hang,
    /// Not even Redis gets it, and no answer comes.
    Hold,
}

/// A unix socket before another one.
pub(crate) struct Proxy {
    dir: tempfile::TempDir,
    link: Arc<Link>,
}

impl Proxy {
    pub(crate) fn new(target: &str, of: &'static str, loss: Loss) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let left = AtomicU32::new(match loss {
            Loss::Break(times) => times,
            _ => u32::MAX,
        });
        let link = Arc::new(Link { of: of.as_bytes(), loss, left, lost: AtomicU32::new(0) });
        let (target, shared) = (PathBuf::from(target.strip_prefix("unix://").unwrap()), Arc::clone(&link));
        // Ends with the process, like every connection of it.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if loss == Loss::BreakThenRefuse && shared.lost.load(SeqCst) > 0 {
                    return;
                }
                let (client, target, link) = (client.unwrap(), target.clone(), Arc::clone(&shared));
                std::thread::spawn(move || connection(client, &target, &link));
            }
        });
        Self { dir, link }
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.dir.path().join("s").display())
    }

    /// Loses the next `times`.
    pub(crate) fn lose_again(&self, times: u32) {
        self.link.left.store(times, SeqCst);
    }

    /// How many answers were lost so far.
    pub(crate) fn lost(&self) -> u32 {
        self.link.lost.load(SeqCst)
    }
}

struct Link {
    of: &'static [u8],
    loss: Loss,
    /// How many requests may still be lost.
    left: AtomicU32,
    /// How many answers were swallowed (or requests held back).
    lost: AtomicU32,
}

fn connection(client: UnixStream, target: &Path, link: &Arc<Link>) {
    let server = UnixStream::connect(target).unwrap();
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let muted = Arc::new(AtomicBool::new(false));
    let (answers, is_muted) = (Arc::clone(link), Arc::clone(&muted));
    std::thread::spawn(move || pass_answers(server, client, &answers, &is_muted));
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from_client.read(&mut buffer) {
        let packet = &buffer[..count];
        let loses = !muted.load(SeqCst)
            && packet.windows(link.of.len()).any(|word| word == link.of)
            && link.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        if loses && link.loss == Loss::Hold {
            link.lost.fetch_add(1, SeqCst);
            continue;
        }
        // What is muted stays so: nothing that this connection asks is answered any more.
        muted.fetch_or(loses, SeqCst);
        if to_server.write_all(packet).is_err() {
            return;
        }
    }
    let _ = to_server.shutdown(Shutdown::Write);
}

/// Passes answers on; one that comes while muted is lost, and was executed.
fn pass_answers(mut server: UnixStream, mut client: UnixStream, link: &Link, muted: &AtomicBool) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        if !muted.load(SeqCst) {
            if client.write_all(&buffer[..count]).is_err() {
                return;
            }
            continue;
        }
        link.lost.fetch_add(1, SeqCst);
        if link.loss != Loss::Hang {
            let _ = client.shutdown(Shutdown::Both);
            return;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}
