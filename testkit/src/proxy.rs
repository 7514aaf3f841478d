//! A proxy in front of Redis, on a unix socket, that understands RESP and breaks the way in every manner it knows:
//! delay, jitter, drip, a cut within a reply, a flipped byte, a doubled reply, a request or a reply that gets lost
//! (the command runs), silence in either direction.
//!
//! What happens to the n-th command of the n-th connection follows from the seed, so runs can be repeated as far as
//! the clients repeat themselves. Bytes are flipped and replies doubled only where the reply of a script begins,
//! which is where a client can notice: what a reply carries is protected by TCP and TLS, not by RESP.

mod connection;
mod weather;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use weather::{Fate, Rates, Silence, Weather};

/// What is lost once, on purpose.
#[derive(Debug, Clone)]
struct Trap {
    fate: Fate,
    word: Vec<u8>,
    /// Of the commands that have the word, how many still pass.
    after: u64,
}

struct Control {
    seed: u64,
    upstream: Mutex<PathBuf>,
    weather: watch::Sender<Weather>,
    /// Connections of an earlier generation are closed.
    generation: watch::Sender<u64>,
    trap: Mutex<Option<Trap>>,
    counts: Counts,
}

#[derive(Default)]
struct Counts([AtomicU64; Fate::ALL.len()]);

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
        let control = Arc::new(Control {
            seed,
            upstream: Mutex::new(upstream.to_owned()),
            weather: watch::Sender::new(Weather::default()),
            generation: watch::Sender::new(0),
            trap: Mutex::default(),
            counts: Counts::default(),
        });
        let shared = Arc::clone(&control);
        let listener = tokio::spawn(async move {
            for number in 0.. {
                let Ok((client, _)) = listener.accept().await else { return };
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

    /// Does this to the `after`-th next command that has `word` among its words, and to no other.
    pub fn trap(&self, fate: Fate, word: &str, after: u64) {
        *lock(&self.control.trap) = Some(Trap { fate, word: word.as_bytes().to_vec(), after });
    }

    /// Whether the trap has closed.
    pub fn is_sprung(&self) -> bool {
        lock(&self.control.trap).is_none()
    }

    /// How often each thing has happened.
    pub fn counts(&self) -> Vec<(Fate, u64)> {
        let counts = Fate::ALL.iter().zip(&self.control.counts.0);
        counts.map(|(fate, count)| (*fate, count.load(Ordering::Relaxed))).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.reset();
        let _ = std::fs::remove_file(&self.socket);
    }
}

impl Control {
    /// What is to happen to a command.
    fn fate(&self, connection: u64, number: u64, words: &[&[u8]]) -> Fate {
        let mut slot = lock(&self.trap);
        if let Some(trap) = slot.as_mut()
            && words.contains(&trap.word.as_slice())
        {
            if trap.after == 0 {
                return slot.take().map_or(Fate::Pass, |trap| trap.fate);
            }
            trap.after -= 1;
        }
        drop(slot);
        self.weather.borrow().fate(self.seed, connection, number, words)
    }

    fn count(&self, fate: Fate) {
        self.counts.0[fate as usize].fetch_add(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
