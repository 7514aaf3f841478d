//! A way by TCP to a server that can be cut for some who come and stay open for others: told apart by the address that
//! they come from, which servers choose by `bind-source-addr`.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Where the servers and Sentinels of one harness come from, each from its own: others of this machine come from
/// 127.0.0.1.
pub(crate) fn address_of_server(number: usize) -> IpAddr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 0)) + number as u32).into()
}

pub(crate) fn address_of_sentinel(number: usize) -> IpAddr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 2, 0)) + number as u32).into()
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    cut: watch::Sender<Vec<IpAddr>>,
    listener: JoinHandle<()>,
}

impl Relay {
    /// Listens at a free port of this machine, on the current runtime, and leads to the port `to`. Blocks its thread for a
    /// moment.
    ///
    /// # Errors
    /// If it cannot listen, or there is no runtime.
    pub fn listen(to: u16) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let port = listener.local_addr()?.port();
        let (cut, is_cut) = watch::channel(Vec::new());
        let _entered = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        let listener = tokio::spawn(async move {
            loop {
                // It fails for want of descriptors alone: then somebody else's connection has to end first.
                let Ok((client, from)) = listener.accept().await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                tokio::spawn(carry(client, from.ip(), to, is_cut.clone()));
            }
        });
        Ok(Self { port, cut, listener })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on nothing passes between the server and those that come from these addresses. Their connections stay
    /// open, as over a network that has broken.
    pub fn cut(&self, from: &[IpAddr]) {
        self.cut.send_replace(from.to_vec());
    }

    /// Everybody comes through. Connections that were cut are closed, since they have lost bytes.
    pub fn heal(&self) {
        self.cut(&[]);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Carries until either side closes; once it is cut, nothing until that is over. It ends with its relay, too.
async fn carry(mut client: TcpStream, from: IpAddr, to: u16, mut cut: watch::Receiver<Vec<IpAddr>>) {
    let carried = async {
        // A server that is away refuses its clients itself: so does this one, by hanging up.
        let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await else { return None };
        // Both fail only for a connection that has ended.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        tokio::select! {
            biased;
            _ = cut.wait_for(|cut| cut.contains(&from)) => Some(server),
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => None,
        }
    };
    if let Some(_open) = carried.await {
        let _ = cut.wait_for(|cut| !cut.contains(&from)).await;
    }
}
