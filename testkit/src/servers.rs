//! A redis-server for tests, started by the code that starts the private server.
//!
//! Shared by all tests of a process, apart by namespace; whoever stops, fills or stalls its server gets one of its own.
//! It ends with the process, also when that is killed (see [`Temporary`]).
#![allow(clippy::unwrap_used, reason = "for tests alone")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::{Cmd, Value};
use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::embedded::Temporary;
use tollgate::ids::Namespace;
use tollgate::link::Link;

/// The server that the tests of this process share.
pub fn shared() -> &'static Temporary {
    static SHARED: OnceLock<Temporary> = OnceLock::new();
    SHARED.get_or_init(|| private(&[]))
}

/// A server of one's own; `extra` are settings as on the command line.
pub fn private(extra: &[&str]) -> Temporary {
    Temporary::start(&[&["--enable-debug-command", "yes"], extra].concat()).unwrap()
}

/// A way to it. Links die with the runtime that made them, and each test has its own: so each opens its own.
pub fn open(redis: &Temporary) -> Server {
    open_at(&redis.url(), None)
}

/// The same by an address, with how long an answer may take.
pub fn open_at(url: &str, response_timeout: Option<Duration>) -> Server {
    let options = RedisOptions { url: Some(url.to_owned()), response_timeout, ..RedisOptions::default() };
    Server::open(Endpoint::parse(&options).unwrap())
}

/// A port of this machine that nobody listens at.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A namespace that no other test uses, of this process or of another.
pub fn namespace() -> Namespace {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Namespace::parse(format!("t{}-{count}", std::process::id())).unwrap()
}

/// A command of its words.
pub fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    words.iter().for_each(|word| _ = command.arg(*word));
    command
}

/// What such a command answers.
///
/// # Panics
/// If it fails.
pub async fn run(link: &mut Link, words: &[&str]) -> Value {
    link.run(&command(words)).await.unwrap_or_else(|failure| panic!("{words:?}: {failure}"))
}
