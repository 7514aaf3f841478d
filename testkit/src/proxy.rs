//! A proxy in front of Redis, on a unix socket, that understands RESP and breaks the way in every manner it knows:
//! delay, jitter, drip, a cut within a reply, a flipped byte, a doubled reply, a request or a reply that gets lost
//! (the command runs), silence in either direction.
//!
//! What happens to the n-th command of the n-th connection follows from the seed, so runs can be repeated as far as
//! the clients repeat themselves. Bytes are flipped and replies doubled only where the reply of a script begins,
//! which is where a client can notice: what a reply carries is protected by TCP and TLS, not by RESP.

pub mod apart;
mod connection;
mod control;
mod weather;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use control::{Control, Trap, lock};
pub use weather::{Fate, Rates, Silence, Weather};

/// Listens until it is dropped.
pub struct Proxy {
    socket: PathBuf,
    control: Arc<Control>,
    listener: JoinHandle<()>,
}

impl Proxy {
    /// Listens at `socket`, on the current runtime, and leads to the socket `upstream`.
    ///
    /// # Errors
    /// If it cannot listen there.
    pub fn listen(socket: &Path, upstream: &Path, seed: u64) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let control = Arc::new(Control::new(seed, upstream));
        let shared = Arc::clone(&control);
        let listener = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { return };
                if shared.refuses.load(Ordering::SeqCst) {
                    return;
                }
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                let upstream = lock(&shared.upstream).clone();
                // A server that is away refuses its clients itself: so does this one, by hanging up.
                let Ok(server) = UnixStream::connect(&upstream).await else { continue };
                tokio::spawn(connection::run(Arc::clone(&shared), number, client, server));
            }
        });
        Ok(Self { socket: socket.to_owned(), control, listener })
    }

    /// What `REDIS_URL` is for whoever goes through it.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// From now on new connections lead there, and the old ones are closed.
    pub fn lead_to(&self, upstream: &Path) {
        *lock(&self.control.upstream) = upstream.to_owned();
        self.reset();
    }

    /// Changes what happens to everything that passes.
    pub fn set(&self, weather: Weather) {
        self.control.weather.send_replace(weather);
    }

    /// What it is now.
    pub fn weather(&self) -> Weather {
        self.control.weather.borrow().clone()
    }

    /// Closes every connection.
    pub fn reset(&self) {
        self.control.generation.send_modify(|generation| *generation += 1);
    }

    /// Nothing happens any more. Connections that were silent are closed, since they have lost bytes.
    pub fn heal(&self) {
        let before = self.control.weather.send_replace(Weather::default());
        *lock(&self.control.trap) = None;
        if before.silence.is_some() {
            self.reset();
        }
    }

    /// The connections that there are carry nothing any more, and stay open. New ones work.
    pub fn swallow(&self) {
        self.control.swallowed.store(self.control.connections.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Nothing passes any more, and nobody is let in.
    pub fn cut(&self) {
        self.control.refuses.store(true, Ordering::SeqCst);
        // It fails only where it is gone already.
        let _ = std::fs::remove_file(&self.socket);
        self.swallow();
    }

    /// Commands that have `text` in one of their words wait here from now on.
    pub fn hold(&self, text: &str) {
        self.control.held.send_replace(Some(text.as_bytes().to_vec()));
    }

    /// What waits goes on, also of clients that are gone.
    pub fn open(&self) {
        self.control.held.send_replace(None);
    }

    /// Replaces these bytes once, in the first reply that has them, by as many others.
    pub fn garble(&self, found: &[u8], instead: &[u8]) {
        *lock(&self.control.garbled) = Some((found.to_vec(), instead.to_vec()));
    }

    /// Whether what was to be garbled has passed.
    pub fn has_garbled(&self) -> bool {
        lock(&self.control.garbled).is_none()
    }

    /// Does this to the `after`-th next command that has `text` in one of its words, and to no other.
    pub fn trap(&self, fate: Fate, text: &str, after: u64) {
        self.set_trap(Trap { fate, text: text.as_bytes().to_vec(), after, times: 1, then_refuses: false });
    }

    /// Does this to the next `times` commands that have `text` in one of their words: of each connection to one.
    pub fn trap_times(&self, fate: Fate, text: &str, times: u64) {
        self.set_trap(Trap { fate, text: text.as_bytes().to_vec(), after: 0, times, then_refuses: false });
    }

    /// Does this to the next such command, and lets nobody in from then on.
    pub fn trap_then_refuse(&self, fate: Fate, text: &str) {
        self.set_trap(Trap { fate, text: text.as_bytes().to_vec(), after: 0, times: 1, then_refuses: true });
    }

    fn set_trap(&self, trap: Trap) {
        *lock(&self.control.trap) = Some(trap);
    }

    /// Whether the trap has closed.
    pub fn is_sprung(&self) -> bool {
        lock(&self.control.trap).is_none()
    }

    /// How often each thing has happened.
    pub fn counts(&self) -> Vec<(Fate, u64)> {
        self.control.counts()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.reset();
        let _ = std::fs::remove_file(&self.socket);
    }
}
