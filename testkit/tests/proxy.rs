//! The proxy in front of a server that counts what reaches it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tollgate_testkit::proxy::{Fate, Proxy, Silence, Weather};

const COMMAND: &[u8] = b"*2\r\n$7\r\nEVALSHA\r\n$1\r\nx\r\n";
const REPLY: &[u8] = b"*2\r\n$16\r\n0123456789abcdef\r\n:1\r\n";

/// Answers each command; says how many there were.
fn server(dir: &Path) -> (PathBuf, Arc<AtomicU64>) {
    let (path, ran) = (dir.join("server"), Arc::new(AtomicU64::new(0)));
    let listener = UnixListener::bind(&path).unwrap();
    let count = Arc::clone(&ran);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut command = vec![0; COMMAND.len()];
                while client.read_exact(&mut command).await.is_ok() {
                    count.fetch_add(1, Ordering::SeqCst);
                    client.write_all(REPLY).await.unwrap();
                }
            });
        }
    });
    (path, ran)
}

struct Bench {
    _dir: tempfile::TempDir,
    proxy: Proxy,
    ran: Arc<AtomicU64>,
    socket: PathBuf,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let (upstream, ran) = server(dir.path());
    let socket = dir.path().join("proxy");
    let proxy = Proxy::listen(&socket, &upstream, 1).unwrap();
    Bench { _dir: dir, proxy, ran, socket }
}

impl Bench {
    /// Sends one command; answers all that comes back until silence or the end.
    async fn ask(&self) -> Vec<u8> {
        let mut client = UnixStream::connect(&self.socket).await.unwrap();
        client.write_all(COMMAND).await.unwrap();
        let mut reply = Vec::new();
        let _ = tokio::time::timeout(Duration::from_millis(300), client.read_to_end(&mut reply)).await;
        reply
    }

    fn ran(&self) -> u64 {
        self.ran.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn each_fate_is_what_it_says() {
    let bench = bench();
    assert_eq!((bench.ask().await.as_slice(), bench.ran()), (REPLY, 1));

    bench.proxy.trap(Fate::RequestLost, "EVALSHA", 0);
    assert_eq!((bench.ask().await.as_slice(), bench.ran()), (&b""[..], 1));
    bench.proxy.trap(Fate::ReplyLost, "x", 0);
    assert_eq!((bench.ask().await.as_slice(), bench.ran()), (&b""[..], 2));
    bench.proxy.trap(Fate::Cut, "x", 0);
    let cut = bench.ask().await;
    assert!(cut.len() < REPLY.len() && REPLY.starts_with(&cut), "{cut:?}");
    bench.proxy.trap(Fate::Double, "x", 0);
    assert_eq!(bench.ask().await, [REPLY, REPLY].concat());
    bench.proxy.trap(Fate::Flip, "x", 0);
    let flipped = bench.ask().await;
    let bits: u32 = flipped.iter().zip(REPLY).map(|(is, was)| (is ^ was).count_ones()).sum();
    assert_eq!((flipped.len(), bits), (REPLY.len(), 1));
    assert!(bench.proxy.is_sprung());
    bench.proxy.trap(Fate::ReplyLost, "another word", 0);
    assert_eq!(bench.ask().await, REPLY);
    assert!(!bench.proxy.is_sprung());
}

#[tokio::test]
async fn silence_keeps_the_connection_and_ends_with_it() {
    let bench = bench();
    for (silence, runs) in [(Silence::Requests, 0), (Silence::Replies, 1), (Silence::Both, 0)] {
        let before = bench.ran();
        bench.proxy.set(Weather { silence: Some(silence), ..Weather::default() });
        assert_eq!((bench.ask().await.as_slice(), bench.ran() - before), (&b""[..], runs), "{silence:?}");
    }
    bench.proxy.heal();
    assert_eq!(bench.ask().await, REPLY);
}

#[tokio::test]
async fn weather_delays_and_drips_and_spares_the_others() {
    let bench = bench();
    let slow = Duration::from_millis(30);
    bench.proxy.set(Weather { drip: Some((1, Duration::from_millis(1))), ..Weather::default() });
    assert_eq!(bench.ask().await, REPLY);
    bench.proxy.set(Weather { delay: Some((slow, slow)), ..Weather::default() });
    let begun = tokio::time::Instant::now();
    let mut client = UnixStream::connect(&bench.socket).await.unwrap();
    client.write_all(COMMAND).await.unwrap();
    client.read_exact(&mut vec![0; REPLY.len()]).await.unwrap();
    assert!(begun.elapsed() >= 2 * slow);
    // Two connections in three are spared by this.
    bench.proxy.set(Weather { every: Some(3), silence: Some(Silence::Both), ..Weather::default() });
    let mut silent = 0;
    for _ in 0..6 {
        silent += usize::from(bench.ask().await.is_empty());
    }
    assert_eq!(silent, 2);
}

#[tokio::test]
async fn what_is_lost_again_and_again_is_lost_once_a_connection() {
    let bench = bench();
    bench.proxy.trap_times(Fate::ReplyLost, "x", 2);
    for ran in 1..=3 {
        assert_eq!((bench.ask().await.is_empty(), bench.ran()), (ran < 3, ran));
    }
    bench.proxy.trap_times(Fate::Hold, "x", 1);
    assert_eq!((bench.ask().await.as_slice(), bench.ran()), (&b""[..], 3));
    bench.proxy.trap_times(Fate::Hang, "x", 1);
    assert_eq!((bench.ask().await.as_slice(), bench.ran()), (&b""[..], 4));
    bench.proxy.garble(b":1", b":2");
    assert!(bench.ask().await.ends_with(b":2\r\n") && bench.proxy.has_garbled());
    bench.proxy.trap_then_refuse(Fate::ReplyLost, "x");
    assert!(bench.ask().await.is_empty());
    // The listener goes with the next who knocks.
    while let Ok(mut client) = UnixStream::connect(&bench.socket).await {
        assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
    }
}

#[tokio::test]
async fn what_waits_goes_on_and_what_is_swallowed_does_not() {
    let bench = bench();
    bench.proxy.hold("EVALSHA");
    let mut gone = UnixStream::connect(&bench.socket).await.unwrap();
    gone.write_all(COMMAND).await.unwrap();
    assert_eq!((bench.ask().await.as_slice(), bench.ran()), (&b""[..], 0));
    bench.proxy.open();
    let mut reply = vec![0; REPLY.len()];
    gone.read_exact(&mut reply).await.unwrap();
    bench.proxy.swallow();
    gone.write_all(COMMAND).await.unwrap();
    assert_eq!(bench.ask().await, REPLY);
    bench.proxy.cut();
    assert!(UnixStream::connect(&bench.socket).await.is_err());
}
