//! Ports for what a run starts.

/// A port of loopback that nobody has now. Whoever takes it meanwhile makes what is started there end, which is seen.
pub(crate) fn free() -> std::io::Result<u16> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr().map(|address| address.port())
}
