//! Sessions and keys, and what one does to the other. Pure: the clock is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What it has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Sessions that were created.
    pub created: u64,
    /// Those that were refused for their TTL.
    pub refused: u64,
    /// Renewals.
    pub renewed: u64,
    /// Sessions whose time was over.
    pub expired: u64,
    /// Keys that were acquired.
    pub acquired: u64,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: String,
    /// Without a renewal.
    pub(super) lasts: Duration,
    pub(super) until: Instant,
    pub(super) lock_delay: Duration,
    /// Whether its keys are deleted with it, rather than released.
    pub(super) deletes: bool,
}

#[derive(Debug, Default)]
pub(super) struct Key {
    pub(super) session: Option<String>,
    pub(super) create_index: u64,
    pub(super) modify_index: u64,
    /// How often it was acquired.
    pub(super) lock_index: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    index: u64,
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) keys: BTreeMap<String, Key>,
    /// Until when nobody acquires a key, since its session ended.
    delays: BTreeMap<String, Instant>,
    pub(super) seen: Seen,
}

impl State {
    /// The index of the next change.
    pub(super) fn change(&mut self) -> u64 {
        self.index += 1;
        self.index
    }

    /// The index that a read of this key answers: of its last change, and of the last of all where there is none.
    pub(super) fn index_of(&self, key: &str) -> u64 {
        self.keys.get(key).map_or(self.index, |key| key.modify_index).max(1)
    }

    pub(super) fn begin(&mut self, session: Session) -> String {
        self.seen.created += 1;
        let id = format!("session-{}", self.change());
        self.sessions.insert(id.clone(), session);
        id
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let over = self.sessions.iter().filter(|(_, session)| session.until <= now);
        for id in over.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.seen.expired += 1;
            self.end(&id, now);
        }
    }

    pub(super) fn end(&mut self, id: &str, now: Instant) {
        let Some(session) = self.sessions.remove(id) else { return };
        let index = self.change();
        let is_its = |key: &Key| key.session.as_deref() == Some(id);
        for (name, key) in self.keys.iter_mut().filter(|(_, key)| is_its(key)) {
            self.delays.insert(name.clone(), now + session.lock_delay);
            if !session.deletes {
                (key.session, key.modify_index) = (None, index);
            }
        }
        self.keys.retain(|_, key| !is_its(key));
    }

    pub(super) fn acquire(&mut self, name: &str, session: &str, now: Instant) -> bool {
        let index = self.index + 1;
        if self.delays.get(name).is_some_and(|until| *until > now) {
            return false;
        }
        let key = self.keys.entry(name.to_owned()).or_insert(Key { create_index: index, ..Key::default() });
        match &key.session {
            Some(holder) if holder != session => return false,
            Some(_) => {}
            None => key.lock_index += 1,
        }
        (key.session, key.modify_index) = (Some(session.to_owned()), index);
        self.index = index;
        self.seen.acquired += 1;
        true
    }

    pub(super) fn release(&mut self, name: &str, session: &str) -> bool {
        let index = self.index + 1;
        let Some(key) = self.keys.get_mut(name) else { return false };
        if key.session.as_deref() != Some(session) {
            return false;
        }
        (key.session, key.modify_index) = (None, index);
        self.index = index;
        true
    }
}
