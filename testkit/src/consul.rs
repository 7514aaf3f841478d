//! A stand-in for Consul: sessions, and the keys that they lock, as its HTTP interface has them, in memory.
//!
//! What it keeps to, by <https://developer.hashicorp.com/consul/api-docs/session> and `/kv`: a session ends when it is
//! destroyed, or after twice its TTL without a renewal (never before the TTL); its keys are then released or deleted,
//! and nobody acquires them for the lock delay; every change has an index of its own; a read with an index waits for
//! a later one. A TTL below the least one (10 s, unless the server is set otherwise) is refused.
#![allow(clippy::unwrap_used, reason = "for tests alone")]

mod http;
mod state;

use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use self::http::{Answer, Request};
pub use self::state::Seen;
use self::state::{Session, State};

/// The least TTL of a server that is not set otherwise.
pub const TTL_MIN: Duration = Duration::from_secs(10);
/// How long a read waits at most that does not say it.
const WAIT: Duration = Duration::from_secs(300);
/// How often one that waits looks whether a session has ended meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How it differs from a server as it is installed.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The least TTL that it grants.
    pub ttl_min: Duration,
    /// How long a session of exactly that TTL lasts, so that nobody waits for it: twice the TTL by itself.
    pub shortest_lasts: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ttl_min: TTL_MIN, shortest_lasts: TTL_MIN * 2 }
    }
}

/// A running one. It serves until the process ends.
#[derive(Debug, Clone)]
pub struct Consul {
    address: String,
    settings: Settings,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Consul {
    /// Starts one on a port of loopback.
    ///
    /// # Panics
    /// If there is no port.
    pub fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let consul = Self { address, settings, shared: Arc::default() };
        let serving = consul.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let consul = serving.clone();
                std::thread::spawn(move || http::serve(&stream, |request| consul.answer(request)));
            }
        });
        consul
    }

    /// `127.0.0.1:8500`, as `CONSUL_ADDR` has it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it has seen so far.
    ///
    /// # Panics
    /// If it has.
    pub fn seen(&self) -> Seen {
        self.shared.0.lock().unwrap().seen
    }

    /// How many sessions and keys there are now.
    ///
    /// # Panics
    /// If it has.
    pub fn left(&self) -> (usize, usize) {
        let mut state = self.shared.0.lock().unwrap();
        state.expire(Instant::now());
        (state.sessions.len(), state.keys.len())
    }

    /// Ends every session, as when the check of their node fails.
    ///
    /// # Panics
    /// If it has.
    pub fn end_all_sessions(&self) {
        let mut state = self.shared.0.lock().unwrap();
        let ids: Vec<String> = state.sessions.keys().cloned().collect();
        ids.iter().for_each(|id| state.end(id, Instant::now()));
        self.shared.1.notify_all();
    }

    fn answer(&self, request: &Request) -> Answer {
        let (state, changed) = &*self.shared;
        let mut state = state.lock().unwrap();
        state.expire(Instant::now());
        let path: Vec<&str> = request.path.split('/').collect();
        let answer = match (request.method.as_str(), path.as_slice()) {
            ("GET", ["v1", "status", "leader"]) => Answer::json(&json!("127.0.0.1:8300")),
            ("PUT", ["v1", "session", "create"]) => self.create(&mut state, request),
            ("PUT", ["v1", "session", "renew", id]) => renew(&mut state, id),
            ("PUT", ["v1", "session", "destroy", id]) => {
                state.end(id, Instant::now());
                Answer::json(&json!(true))
            }
            ("GET", ["v1", "session", "list"]) => {
                let all = state.sessions.iter();
                let all: Vec<_> =
                    all.map(|(id, session)| json!({ "ID": id, "Name": session.name })).collect();
                Answer::json(&json!(all))
            }
            (method, ["v1", "kv", key @ ..]) => {
                let key = key.join("/");
                match method {
                    "PUT" => put(&mut state, request, &key),
                    "DELETE" if request.query("recurse").is_some() => {
                        state.change();
                        state.keys.retain(|name, _| !name.starts_with(&key));
                        Answer::json(&json!(true))
                    }
                    "GET" => {
                        let begun = Instant::now();
                        let wait = request.query("wait").and_then(duration).unwrap_or(WAIT);
                        let after = request.query("index").and_then(|index| index.parse().ok());
                        while after.is_some_and(|after| state.index_of(&key) <= after)
                            && begun.elapsed() < wait
                        {
                            state = changed.wait_timeout(state, LOOK_EVERY).unwrap().0;
                            state.expire(Instant::now());
                        }
                        get(&state, &key)
                    }
                    _ => Answer::refused(405, "method not allowed"),
                }
            }
            _ => Answer::refused(404, "no such path"),
        };
        changed.notify_all();
        answer
    }

    fn create(&self, state: &mut State, request: &Request) -> Answer {
        let Ok(body) = serde_json::from_slice::<serde_json::Value>(&request.body) else {
            return Answer::refused(400, "Request decode failed");
        };
        let text = |field: &str| body[field].as_str().unwrap_or_default();
        let (ttl, delay) = (duration(text("TTL")), duration(text("LockDelay")));
        let Some(ttl) = ttl.filter(|ttl| *ttl >= self.settings.ttl_min) else {
            state.seen.refused += 1;
            let least = self.settings.ttl_min.as_secs();
            let why = format!("Invalid Session TTL '{}', must be between [{least}s=24h0m0s]", text("TTL"));
            return Answer::refused(500, &why);
        };
        let lasts = if ttl == self.settings.ttl_min { self.settings.shortest_lasts } else { ttl * 2 };
        let id = state.begin(Session {
            name: text("Name").to_owned(),
            lasts,
            until: Instant::now() + lasts,
            lock_delay: delay.unwrap_or(Duration::from_secs(15)),
            deletes: text("Behavior") == "delete",
        });
        Answer::json(&json!({ "ID": id }))
    }
}

fn renew(state: &mut State, id: &str) -> Answer {
    let Some(session) = state.sessions.get_mut(id) else {
        return Answer::refused(404, &format!("Session id '{id}' not found"));
    };
    session.until = Instant::now() + session.lasts;
    state.seen.renewed += 1;
    Answer::json(&json!([{ "ID": id }]))
}

fn put(state: &mut State, request: &Request, key: &str) -> Answer {
    match (request.query("acquire"), request.query("release")) {
        (Some(session), _) if !state.sessions.contains_key(session) => {
            Answer::refused(500, &format!("invalid session \"{session}\""))
        }
        (Some(session), _) => Answer::json(&json!(state.acquire(key, session, Instant::now()))),
        (_, Some(session)) => Answer::json(&json!(state.release(key, session))),
        _ => Answer::refused(400, "neither acquire nor release"),
    }
}

fn get(state: &State, key: &str) -> Answer {
    let answer = match state.keys.get(key) {
        None => Answer::refused(404, ""),
        Some(found) => Answer::json(&json!([{
            "Key": key, "Value": null, "Flags": 0, "LockIndex": found.lock_index, "Session": found.session,
            "CreateIndex": found.create_index, "ModifyIndex": found.modify_index,
        }])),
    };
    answer.with_index(state.index_of(key))
}

/// `10s`, `1ms`.
fn duration(text: &str) -> Option<Duration> {
    if let Some(ms) = text.strip_suffix("ms") {
        return ms.parse().ok().map(Duration::from_millis);
    }
    text.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}
