//! A redis-server for tests, started by the code that starts the private server.
//!
//! Shared by all tests of a process, apart by namespace; whoever stops, fills or stalls its server gets one of its own.
//! It ends with the process, also when that is killed (see [`Temporary`]).
#![allow(clippy::unwrap_used, reason = "for tests alone")]

use std::ffi::OsStr;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::{Cmd, Value};
use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::embedded::Temporary;
use tollgate::ids::Namespace;
use tollgate::link::Link;

/// Where ports are looked for: above those of well-known servers, below what Linux gives to connections.
const PORTS: Range<u16> = 12_000..32_000;

/// The server that the tests of this process share.
pub fn shared() -> &'static Temporary {
    static SHARED: OnceLock<Temporary> = OnceLock::new();
    SHARED.get_or_init(|| private(&[]))
}

/// A server of one's own; `extra` are settings as on the command line.
pub fn private(extra: &[&str]) -> Temporary {
    Temporary::start(&[&["--enable-debug-command", "yes"], extra].concat()).unwrap()
}

/// The redis-server that tests start by hand: that of the private servers, so that `TOLLGATE_REDIS_SERVER` decides for
/// all of them.
pub fn server_program() -> PathBuf {
    tollgate::embedded::server_binary().unwrap()
}

/// The redis-cli (valkey-cli) beside that server, else the one in PATH.
pub fn cli_program() -> PathBuf {
    let server = server_program();
    let name = server.file_name().unwrap_or_default().to_string_lossy().replace("-server", "-cli");
    let beside = server.with_file_name(name);
    if beside != server && beside.is_file() { beside } else { PathBuf::from("redis-cli") }
}

/// A program as tests start it: of the environment it has PATH alone, and which server a private one is.
pub fn bare(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if let Some(server) = tollgate::env::path(tollgate::env::TOLLGATE_REDIS_SERVER) {
        command.env(tollgate::env::TOLLGATE_REDIS_SERVER, server);
    }
    command
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

/// A port of this machine that nobody listens at. It is below those that the system gives to connections, so that none
/// of these takes it before its server starts, or while that is down; no two of this process are the same, and two
/// processes begin at different ones.
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU32> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU32::new(rand::random()));
    loop {
        let count = next.fetch_add(1, Ordering::Relaxed) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + count as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A namespace that no other test uses, of this process or of another.
pub fn namespace() -> Namespace {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Namespace::parse(format!("t{}-{count}", std::process::id())).unwrap()
}

/// A command of its words. On an account, which is one text, the commands of a hash are those of its words (see
/// [`on_words`]): so what tests read and damage is named alike, whatever it is kept in.
pub fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    on_words(words).iter().for_each(|word| _ = command.arg(word));
    command
}

/// HSET, HDEL, HINCRBY, HGET and HMGET of an account's key as a script that does so to the words of its text; any other
/// command as it is.
pub fn on_words(words: &[&str]) -> Vec<String> {
    const SCRIPT: &str = "
        local names, values, found = { 'available', 'held', 'currency', 'status', 'seq' }, {}, {}
        local text, n = redis.call('GET', KEYS[1]), 0
        for word in string.gmatch((text or '    ') .. ' ', '(.-) ') do n = n + 1; values[names[n]] = word end
        local command = ARGV[1]
        if command == 'HGET' or command == 'HMGET' then
          for i = 2, #ARGV do found[i - 1] = text and values[ARGV[i]] end
          return command == 'HGET' and found[1] or found
        end
        if command == 'HDEL' then values[ARGV[2]] = '' end
        if command == 'HINCRBY' then values[ARGV[2]] = string.format('%d', values[ARGV[2]] + ARGV[3]) end
        if command == 'HSET' then for i = 2, #ARGV, 2 do values[ARGV[i]] = ARGV[i + 1] end end
        for i, name in ipairs(names) do found[i] = values[name] end
        return redis.call('SET', KEYS[1], table.concat(found, ' '))";
    const COMMANDS: [&str; 5] = ["HSET", "HDEL", "HINCRBY", "HGET", "HMGET"];
    let is_of_account = words.get(1).is_some_and(|key| key.contains("}:account:"));
    if !is_of_account || !COMMANDS.contains(&words[0]) {
        return words.iter().map(|word| (*word).to_owned()).collect();
    }
    let script = ["EVAL", SCRIPT, "1", words[1], words[0]];
    script.iter().chain(&words[2..]).map(|word| (*word).to_owned()).collect()
}

/// What such a command answers.
///
/// # Panics
/// If it fails.
pub async fn run(link: &mut Link, words: &[&str]) -> Value {
    link.run(&command(words)).await.unwrap_or_else(|failure| panic!("{words:?}: {failure}"))
}
