//! How a Lua script is put together, called and answered. The scripts themselves are in `lua/`; each has a
//! typed wrapper of its own name in `scripts/`, and nothing else here calls them. One is published for other languages:
//! `docs/lookup.lua` is `lookup` as it is put together here.
//!
//! Every call carries a nonce that the script returns first. A reply with another nonce answers another
//! call: it is never accepted and its connection is thrown away (G22). A reply of another shape than the
//! script's header says is treated alike. Must not repeat a call that may have happened.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::{Arg, Cmd, ToRedisArgs, Value};
use sha1::{Digest, Sha1};

use crate::failure::Failure;
use crate::link::Link;
use crate::random;

/// Lua that several scripts share; it goes between a script's header and its code.
pub(crate) mod parts {
    pub(crate) const NUMBERS: &str = include_str!("../lua/parts/numbers.lua");
    pub(crate) const CHECKS: &str = include_str!("../lua/parts/checks.lua");
    pub(crate) const PARKED_ROW: &str = include_str!("../lua/parts/parked_row.lua");
    pub(crate) const DEAD_COUNT: &str = include_str!("../lua/parts/dead_count.lua");
    pub(crate) const RECEIPT: &str = include_str!("../lua/parts/receipt.lua");
    pub(crate) const QUEUE_ACKED: &str = include_str!("../lua/parts/queue_acked.lua");
    pub(crate) const FORMAT: &str = include_str!("../lua/parts/format.lua");
    pub(crate) const HEAD_COUNTERS: &str =
        concat!(include_str!("../lua/parts/format.lua"), include_str!("../lua/parts/head_counters.lua"));
    pub(crate) const IN_FLIGHT: &str = include_str!("../lua/parts/in_flight.lua");
    pub(crate) const ENTRIES: &str = include_str!("../lua/parts/entries.lua");
    pub(crate) const QUEUE_STATE: &str = include_str!("../lua/parts/queue_state.lua");
    pub(crate) const PARTITION_STATS: &str = include_str!("../lua/parts/partition_stats.lua");
    pub(crate) const JOURNAL_NOTE: &str = include_str!("../lua/parts/journal_note.lua");
    pub(crate) const QUEUE_STREAMS: &str = include_str!("../lua/parts/queue_streams.lua");
    pub(crate) const REQUEUE: &str = include_str!("../lua/parts/requeue.lua");
}

/// One script: its file, the parts it uses, and the names of its KEYS and ARGV that every call has.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
    pub(crate) parts: &'static [&'static str],
    pub(crate) keys: &'static [&'static str],
    pub(crate) args: &'static [&'static str],
    pub(crate) assembled: OnceLock<Assembled>,
}

/// The text as Redis runs it.
pub(crate) struct Assembled {
    text: String,
    sha: String,
    reads_only: bool,
}

impl Assembled {
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn of(source: &str, parts: &[&str]) -> Self {
        let is_header = |line: &&str| line.starts_with("#!") || line.starts_with("--");
        let header: usize = source.split_inclusive('\n').take_while(is_header).map(str::len).sum();
        let (header, code) = source.split_at(header);
        let text = [header, &parts.concat(), "\n", code].concat();
        let sha = Sha1::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { text, sha, reads_only: header.starts_with("#!lua flags=no-writes") }
    }
}

/// Declares a script: `script!(PARK, "park", [NUMBERS, …], keys [head queue], args [nonce entry])`.
macro_rules! script {
    ($static:ident, $name:literal, [$($part:expr),*], keys [$($key:ident)*], args [$($arg:ident)*]) => {
        script!($static, $name, include_str!(concat!("../../lua/", $name, ".lua")), [$($part),*], keys [$($key)*], args [$($arg)*]);
    };
    ($static:ident, $name:literal, $source:expr, [$($part:expr),*], keys [$($key:ident)*], args [$($arg:ident)*]) => {
        pub(crate) static $static: $crate::script::Script = $crate::script::Script {
            name: $name,
            source: $source,
            parts: &[$($part),*],
            keys: &[$(stringify!($key)),*],
            args: &[$(stringify!($arg)),*],
            assembled: std::sync::OnceLock::new(),
        };
    };
}
pub(crate) use script;

impl Script {
    pub(crate) fn assembled(&self) -> &Assembled {
        self.assembled.get_or_init(|| Assembled::of(self.source, self.parts))
    }

    /// Adds the command that makes the script known to a server.
    pub(crate) fn load(&self, pipeline: &mut redis::Pipeline) {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(&self.assembled().text);
    }

    /// Makes the script known to the server that the link leads to.
    pub(crate) async fn make_known(&self, link: &mut Link) -> Result<(), Failure> {
        link.run(Cmd::new().arg("SCRIPT").arg("LOAD").arg(&self.assembled().text)).await.map(drop)
    }

    /// Begins a call. The nonce is added as the first of ARGV.
    pub(crate) fn call(&'static self) -> Call {
        Call { script: self, nonce: next_nonce(), keys: Vec::new(), args: Words::default() }
    }
}

/// A duration as scripts take it: whole milliseconds, at most a thousand years, so that its sum with a clock is
/// still a number that every script reads back.
pub(crate) fn millis(duration: Duration) -> u64 {
    const MS_MAX: u128 = 1_000 * 365 * 24 * 3_600 * 1_000;
    duration.as_millis().min(MS_MAX) as u64
}

/// 64 bits that no other call of this process has used: a counter from a random start.
fn next_nonce() -> String {
    static NEXT: OnceLock<AtomicU64> = OnceLock::new();
    // Several explored processes live in one: each has nonces of its own source.
    #[cfg(feature = "explore")]
    if crate::random::is_seeded() {
        return format!("{:016x}", random::random::<u64>());
    }
    let next = NEXT.get_or_init(|| AtomicU64::new(random::random()));
    format!("{:016x}", next.fetch_add(1, Ordering::Relaxed))
}

/// A call that is being put together.
pub(crate) struct Call {
    script: &'static Script,
    nonce: String,
    keys: Vec<String>,
    args: Words,
}

/// Arguments one after the other in one buffer: a batch has thousands, most of them shorter than an allocation.
#[derive(Default)]
pub(crate) struct Words(Cmd);

impl Words {
    pub(crate) fn push(&mut self, word: impl ToRedisArgs) {
        self.0.arg(word);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.args_iter().len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.args_iter().filter_map(|word| match word {
            Arg::Simple(bytes) => Some(bytes),
            // A cursor, which no script has.
            _ => None,
        })
    }
}

impl Call {
    pub(crate) fn key(mut self, key: String) -> Self {
        self.push_key(key);
        self
    }

    pub(crate) fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.push_arg(arg);
        self
    }

    /// Adds a key and answers its position in KEYS, from 1 as Lua counts.
    pub(crate) fn push_key(&mut self, key: String) -> usize {
        self.keys.push(key);
        self.keys.len()
    }

    pub(crate) fn push_arg(&mut self, arg: impl ToRedisArgs) {
        self.args.push(arg);
    }

    /// Runs the script. A script that the server has forgotten (restart, failover, SCRIPT FLUSH) is loaded and
    /// called again: NOSCRIPT is a refusal before execution, so nothing can happen twice by that.
    ///
    /// # Cancel safety
    /// If the future is dropped the script may or may not have run; the link replaces its connection.
    pub(crate) async fn run(self, link: &mut Link) -> Result<Reply, Failure> {
        debug_assert!(self.keys.len() >= self.script.keys.len(), "{}: too few keys", self.script.name);
        debug_assert!(self.args.len() + 1 >= self.script.args.len(), "{}: too few args", self.script.name);
        #[cfg(feature = "sabotage")]
        if let Some(sabotage) = crate::sabotage::Sabotage::planted()
            && self.script.name == sabotage.script()
        {
            return self.run_sabotaged(sabotage, link).await;
        }
        self.run_text(self.script.assembled(), link).await
    }

    /// Runs the script with a bug in it.
    #[cfg(feature = "sabotage")]
    async fn run_sabotaged(
        self,
        sabotage: crate::sabotage::Sabotage,
        link: &mut Link,
    ) -> Result<Reply, Failure> {
        use crate::sabotage::{edited, meet};
        let edit = |edits| Assembled::of(&edited(self.script.source, edits), self.script.parts);
        let reply = self.run_text(&edit(sabotage.edits()), link).await?;
        if !sabotage.is_split() {
            return Ok(reply);
        }
        meet().await;
        let act = edit(sabotage.edits_of_act(reply.0.as_slice()));
        self.run_text(&act, link).await
    }

    async fn run_text(&self, assembled: &Assembled, link: &mut Link) -> Result<Reply, Failure> {
        let command = self.command_of(assembled);
        #[cfg(feature = "explore")]
        link.script.replace(self.script.name);
        let value = match link.run(&command).await {
            Err(failure) if failure.is_no_script() => {
                link.run(Cmd::new().arg("SCRIPT").arg("LOAD").arg(&assembled.text)).await?;
                #[cfg(feature = "explore")]
                link.script.replace(self.script.name);
                link.run(&command).await?
            }
            other => other?,
        };
        self.read(value).inspect_err(|_| link.poison())
    }

    fn command_of(&self, Assembled { sha, reads_only, .. }: &Assembled) -> Cmd {
        let mut command = Cmd::with_capacity(4 + self.keys.len() + self.args.len(), 64 * self.args.len());
        // EVALSHA_RO needs no right to write: a user who may only look up can be given just that.
        command.arg(if *reads_only { "EVALSHA_RO" } else { "EVALSHA" }).arg(sha).arg(self.keys.len());
        self.keys.iter().for_each(|key| _ = command.arg(key));
        command.arg(&self.nonce);
        self.args.iter().for_each(|arg| _ = command.arg(arg));
        command
    }

    /// The call as one command of a transaction; its reply is read by [`Call::read`].
    pub(crate) fn command(&self) -> Cmd {
        self.command_of(self.script.assembled())
    }

    /// What the script answered to this call; a reply with another nonce answers another.
    pub(crate) fn read(&self, value: Value) -> Result<Reply, Failure> {
        let mut reply = Reply::of(value)?;
        if reply.bytes("nonce").ok().as_deref() != Some(self.nonce.as_bytes()) {
            return Err(Failure::unknown("a reply that answers another call"));
        }
        Ok(reply)
    }

    /// The value by which this call is known.
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }
}

/// The rest of a reply, read by position.
#[derive(Debug)]
pub(crate) struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    pub(crate) fn of(value: Value) -> Result<Self, Failure> {
        match value {
            Value::Array(items) => Ok(Self(items.into_iter())),
            other => Err(odd("an array", &other)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn next(&mut self, what: &str) -> Result<Value, Failure> {
        self.0.next().ok_or_else(|| Failure::unknown(format!("a reply without its {what}")))
    }

    pub(crate) fn bytes(&mut self, what: &str) -> Result<Vec<u8>, Failure> {
        match self.next(what)? {
            Value::BulkString(bytes) => Ok(bytes),
            Value::SimpleString(text) => Ok(text.into_bytes()),
            Value::Int(number) => Ok(number.to_string().into_bytes()),
            other => Err(odd(what, &other)),
        }
    }

    pub(crate) fn text(&mut self, what: &str) -> Result<String, Failure> {
        let bytes = self.bytes(what)?;
        String::from_utf8(bytes).map_err(|_| Failure::unknown(format!("a reply whose {what} is no text")))
    }

    pub(crate) fn number(&mut self, what: &str) -> Result<u64, Failure> {
        let text = self.text(what)?;
        text.parse().map_err(|_| Failure::unknown(format!("a reply whose {what} is {text:?}")))
    }

    pub(crate) fn list(&mut self, what: &str) -> Result<Self, Failure> {
        Self::of(self.next(what)?)
    }
}

fn odd(expected: &str, found: &Value) -> Failure {
    Failure::unknown(format!("a reply with {found:?} where {expected} should be"))
}
