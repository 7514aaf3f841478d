//! Why a connection does not come about, where the failure alone does not say: the server is asked once more, by hand.
//!
//! A server that is full or protected says so and hangs up at once; whether that line or the broken pipe of our own
//! greeting is seen first is a matter of luck. The same with TLS on one side only. So after such a failure a plain
//! connection is opened that first listens, then sends PING in the clear. Must not send a secret, and never holds up
//! anyone for long.

use std::time::Duration;

use redis::ConnectionAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::endpoint::Endpoint;
use super::hung_up::{HUNG_UP, is_hung_up, is_tls};
use crate::connection::failure::{Failure, Refusal};

/// How long the whole question may take.
const WITHIN: Duration = Duration::from_millis(800);
/// How long we listen before we speak: a server that refuses does so at once.
const LISTEN: Duration = Duration::from_millis(200);

/// The failure with its cause, if the server tells one.
pub(super) async fn explained(endpoint: &Endpoint, failure: Failure) -> Failure {
    let is_riddle = matches!(failure.refusal(), Some(Refusal::Unreachable | Refusal::Tls | Refusal::Client));
    // Who does not listen at all has nothing to tell.
    let is_absent = ["refused", "No such file", "lookup", "Name or service"];
    if !is_riddle || is_absent.iter().any(|words| failure.to_string().contains(words)) {
        return failure;
    }
    if let Ok(Ok(Some((reason, detail)))) = tokio::time::timeout(WITHIN, ask(endpoint)).await {
        return Failure::not_applied(reason, detail);
    }
    if is_tls(endpoint.info().addr()) && is_hung_up(&failure.to_string()) {
        return Failure::not_applied(Refusal::Tls, HUNG_UP);
    }
    failure
}

async fn ask(endpoint: &Endpoint) -> std::io::Result<Option<(Refusal, String)>> {
    match endpoint.info().addr() {
        ConnectionAddr::Unix(path) => listen_and_ask(UnixStream::connect(path).await?, false).await,
        ConnectionAddr::Tcp(host, port) => {
            let connect = || TcpStream::connect((host.as_str(), *port));
            match listen_and_ask(connect().await?, false).await {
                Ok(Some(found)) => Ok(Some(found)),
                // A server that speaks TLS hangs up on words that are none, often without a word of its own.
                _ => greet_by_tls(connect().await?).await,
            }
        }
        ConnectionAddr::TcpTls { host, port, .. } => {
            listen_and_ask(TcpStream::connect((host.as_str(), *port)).await?, true).await
        }
        _ => Ok(None),
    }
}

async fn listen_and_ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    is_tls: bool,
) -> std::io::Result<Option<(Refusal, String)>> {
    let mut answer = [0; 512];
    let read = match tokio::time::timeout(LISTEN, stream.read(&mut answer)).await {
        Ok(read) => read?,
        Err(_) => {
            stream.write_all(b"PING\r\n").await?;
            stream.read(&mut answer).await?
        }
    };
    Ok(judged(&answer[..read], is_tls))
}

/// The beginning of a TLS session, to see whether the other side knows what it is: it answers a record or an alert.
async fn greet_by_tls(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> std::io::Result<Option<(Refusal, String)>> {
    // A ClientHello of TLS 1.2 without extensions: version, 32 bytes of randomness, no session, one cipher, no
    // compression.
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3];
    hello.extend([0; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
    stream.write_all(&hello).await?;
    let mut answer = [0; 16];
    let read = stream.read(&mut answer).await?;
    Ok(judged(&answer[..read], false))
}

fn judged(answer: &[u8], is_tls: bool) -> Option<(Refusal, String)> {
    let text = String::from_utf8_lossy(answer);
    let line = text.lines().next().unwrap_or_default().trim_start_matches('-');
    match answer {
        _ if line.contains("max number of clients") => Some((Refusal::NoLink, line.to_owned())),
        _ if line.starts_with("DENIED") => {
            let words = "the server is in protected mode: it has no password, and takes connections of its own machine only";
            Some((Refusal::ProtectedMode, words.to_owned()))
        }
        [0x15 | 0x16, 0x03, ..] if !is_tls => {
            Some((Refusal::Tls, "the server speaks TLS at this port: use rediss://".to_owned()))
        }
        [b'+' | b'-', ..] if is_tls => {
            Some((Refusal::Tls, "the server does not speak TLS at this port: use redis://".to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself_is_understood() {
        let reason = |answer: &[u8], is_tls| judged(answer, is_tls).map(|(reason, _)| reason);
        assert_eq!(reason(b"-ERR max number of clients reached\r\n", false), Some(Refusal::NoLink));
        assert_eq!(reason(b"-ERR max number of clients reached\r\n", true), Some(Refusal::NoLink));
        assert_eq!(
            reason(b"-DENIED Redis is running in protected mode\r\n", false),
            Some(Refusal::ProtectedMode)
        );
        assert_eq!(reason(b"\x15\x03\x03\0\x02\x02\x46", false), Some(Refusal::Tls));
        assert_eq!(reason(b"+PONG\r\n", true), Some(Refusal::Tls));
        assert_eq!(reason(b"-NOAUTH Authentication required.\r\n", true), Some(Refusal::Tls));
        for (answer, is_tls) in [
            (&b"+PONG\r\n"[..], false),
            (b"", false),
            (b"", true),
            (b"\x15\x03", true),
            (b"HTTP/1.1 400", false),
        ] {
            assert_eq!(reason(answer, is_tls), None, "{answer:?}");
        }
    }
}
