//! A TLS server that ends the session as soon as it stands.

use redis::ConnectionAddr;

/// What a TLS server says by hanging up.
pub(super) const HUNG_UP: &str =
    "the server ended the TLS session as soon as it stood: it may ask for a certificate of ours";

pub(super) fn is_tls(addr: &ConnectionAddr) -> bool {
    matches!(addr, ConnectionAddr::TcpTls { .. })
}

/// Whether the other side hung up. A server that wants a certificate says so after the TLS session stands, and our
/// greeting is then on its way: which of the two is seen is a matter of luck.
pub(super) fn is_hung_up(words: &str) -> bool {
    let words = words.to_lowercase();
    ["broken pipe", "reset", "end of file", "close_notify"].iter().any(|sign| words.contains(sign))
}
