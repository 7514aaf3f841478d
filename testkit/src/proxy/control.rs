//! What a proxy is told, and its connections look at: the weather, and what is to happen to single commands.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::weather::{Fate, Weather};

/// What happens to single commands, on purpose.
#[derive(Debug, Clone)]
pub(super) struct Trap {
    pub(super) fate: Fate,
    /// In any word of the command.
    pub(super) text: Vec<u8>,
    /// Of the commands that have it, how many still pass.
    pub(super) after: u64,
    /// To how many it happens then.
    pub(super) times: u64,
    /// Nobody is let in any more afterwards.
    pub(super) then_refuses: bool,
}

/// Whether one of a command's words has this text in it.
pub(super) fn has(words: &[&[u8]], text: &[u8]) -> bool {
    words.iter().any(|word| word.windows(text.len().max(1)).any(|part| part == text))
}

/// Bytes of a reply, and what comes in their place; as many.
type Garbled = (Vec<u8>, Vec<u8>);

pub(super) struct Control {
    pub(super) seed: u64,
    pub(super) upstream: Mutex<PathBuf>,
    pub(super) weather: watch::Sender<Weather>,
    /// Connections of an earlier generation are closed.
    pub(super) generation: watch::Sender<u64>,
    pub(super) trap: Mutex<Option<Trap>>,
    pub(super) garbled: Mutex<Option<Garbled>>,
    /// Commands with this text in one of their words wait.
    pub(super) held: watch::Sender<Option<Vec<u8>>>,
    /// Connections with a lower number carry nothing any more.
    pub(super) swallowed: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) refuses: AtomicBool,
    counts: [AtomicU64; Fate::ALL.len()],
}

impl Control {
    pub(super) fn new(seed: u64, upstream: &Path) -> Self {
        Self {
            seed,
            upstream: Mutex::new(upstream.to_owned()),
            weather: watch::Sender::new(Weather::default()),
            generation: watch::Sender::new(0),
            trap: Mutex::default(),
            garbled: Mutex::default(),
            held: watch::Sender::new(None),
            swallowed: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
            counts: Default::default(),
        }
    }

    /// Replaces what was to be garbled, if this reply has it.
    pub(super) fn garble(&self, reply: &mut [u8]) {
        let mut slot = lock(&self.garbled);
        let Some((found, instead)) = slot.as_ref() else { return };
        if let Some(at) = reply.windows(found.len().max(1)).position(|part| part == found.as_slice()) {
            reply[at..at + found.len()].copy_from_slice(instead);
            *slot = None;
        }
    }

    /// What is to happen to a command. A connection that has lost one is closed, or silent: so it loses no more.
    pub(super) fn fate(&self, connection: u64, number: u64, words: &[&[u8]], has_lost: bool) -> Fate {
        if has_lost {
            return Fate::Pass;
        }
        let mut slot = lock(&self.trap);
        if let Some(trap) = slot.as_mut()
            && has(words, &trap.text)
        {
            if trap.after == 0 {
                let fate = trap.fate;
                self.refuses.fetch_or(trap.then_refuses, Ordering::SeqCst);
                trap.times -= 1;
                if trap.times == 0 {
                    *slot = None;
                }
                return fate;
            }
            trap.after -= 1;
        }
        drop(slot);
        self.weather.borrow().fate(self.seed, connection, number, words)
    }

    /// How often each thing has happened.
    pub(super) fn counts(&self) -> Vec<(Fate, u64)> {
        let counts = Fate::ALL.iter().zip(&self.counts);
        counts.map(|(fate, count)| (*fate, count.load(Ordering::Relaxed))).collect()
    }

    pub(super) fn count(&self, fate: Fate) {
        self.counts[fate as usize].fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
