//! `--health-check`: asks the worker at `--listen` whether it lives. For containers, whose image has no shell and no
//! HTTP client.
//!
//! Must not speak to Redis: a worker that waits for Redis is well.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// For each of connecting, sending and reading.
const TIMEOUT: Duration = Duration::from_secs(2);
/// More than the page and its headers have.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Asks `/healthz`.
///
/// # Errors
/// Nobody listens there, or it does not answer 200 in time.
pub(crate) fn ask(address: SocketAddr) -> Result<(), String> {
    let address = reachable(address);
    let status = request(address).map_err(|error| format!("--health-check: {address}: {error}"))?;
    if status.contains(" 200 ") { Ok(()) } else { Err(format!("--health-check: {address}: {status}")) }
}

/// Where the same machine reaches what listens at this address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The status line.
fn request(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().trim().to_owned() + " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_asked_where_it_is_reached() {
        for (listens, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:1", "[::1]:1"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("10.0.0.7:1", "10.0.0.7:1"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), asked);
        }
    }
}
