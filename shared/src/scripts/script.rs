//! How a Lua script is put together, called and answered. The scripts themselves are in `lua/`; each has a
//! typed wrapper of its own name in `scripts/`, and nothing else here calls them. One is published for other languages:
//! `docs/lookup.lua` is `lookup` as it is put together here.
//!
//! Every call carries a nonce that the script returns first. A reply with another nonce answers another
//! call: it is never accepted and its connection is thrown away (G22). A reply of another shape than the
//! script's header says is treated alike. Must not repeat a call that may have happened.

pub(crate) mod text;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::{Arg, Cmd, ToRedisArgs, Value};

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::Keys;
use crate::random;

pub(crate) use crate::connection::reply::{Keyword, Reply, keywords};
pub(crate) use text::{Assembled, File, Part, file, parts};

/// One script: its file, the parts it uses, and what its header says of its calls and of its replies.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) main: File,
    pub(crate) parts: &'static [Part],
    pub(crate) keys: Names,
    pub(crate) args: Names,
    /// The statuses that are its own: of one enum, which its wrapper matches; none of a script without a status.
    pub(crate) statuses: &'static [&'static [&'static str]],
    /// The words for each of what it is asked about, likewise.
    #[cfg(test)]
    pub(crate) each: &'static [&'static [&'static str]],
    /// The statuses that any script may give instead of doing its work.
    pub(crate) refusals: &'static [&'static str],
    pub(crate) assembled: OnceLock<Assembled>,
}

/// What a call has in KEYS or in ARGV.
pub(crate) struct Names {
    /// Once, in this order.
    pub(crate) once: &'static [&'static str],
    /// Behind them, for each of something.
    pub(crate) each: &'static [&'static [&'static str]],
}

impl Names {
    /// Whether so many can be these.
    fn fit(&self, count: usize) -> bool {
        match (count.checked_sub(self.once.len()), self.each) {
            (None, _) => false,
            (Some(more), []) => more == 0,
            (Some(more), [names]) => more % names.len() == 0,
            (Some(_), _) => true,
        }
    }
}

/// Declares a script, as its header has it; what follows a semicolon is there for each of something:
/// `script!(LOOK, "look", [NUMBERS, …], keys [head; bucket], args [nonce; id hour], status Status, each Word,
/// refusals [uninitialised])`.
macro_rules! script {
    ($static:ident, $name:literal, [$($part:expr),* $(,)?], $($rest:tt)*) => {
        script!($static, $name, concat!($name, ".lua"), [$($part),*], $($rest)*);
    };
    (
        $static:ident, $name:literal, $file:expr, [$($part:expr),* $(,)?],
        keys [$($key:ident)* $(; $($key_of_each:ident)+)*],
        args [$($arg:ident)* $(; $($arg_of_each:ident)+)*]
        $(, status $status:ty)?
        $(, each $each:ty)?
        $(, refusals [$($refusal:ident)*])?
        $(,)?
    ) => {
        pub(crate) static $static: $crate::scripts::script::Script = $crate::scripts::script::Script {
            name: $name,
            main: $crate::scripts::script::file!($file),
            parts: &[$($part),*],
            keys: $crate::scripts::script::Names {
                once: &[$(stringify!($key)),*],
                each: &[$(&[$(stringify!($key_of_each)),+]),*],
            },
            args: $crate::scripts::script::Names {
                once: &[$(stringify!($arg)),*],
                each: &[$(&[$(stringify!($arg_of_each)),+]),*],
            },
            statuses: &[$(<$status as $crate::connection::reply::Keyword>::WORDS)?],
            #[cfg(test)]
            each: &[$(<$each as $crate::connection::reply::Keyword>::WORDS)?],
            refusals: &[$($(stringify!($refusal)),*)?],
            assembled: std::sync::OnceLock::new(),
        };
    };
}
pub(crate) use script;

impl Script {
    pub(crate) fn assembled(&self) -> &Assembled {
        self.assembled.get_or_init(|| Assembled::of(&self.main, self.parts, &[]))
    }

    /// The same with a bug in it: put together once, since an exploration calls it hundreds of thousands of times.
    #[cfg(feature = "sabotage")]
    fn edited(&self, edits: &'static [text::Edit]) -> &'static Assembled {
        use std::collections::BTreeMap;
        use std::sync::{Mutex, PoisonError};

        type Key = (&'static str, &'static [text::Edit]);
        static EDITED: Mutex<BTreeMap<Key, &'static Assembled>> = Mutex::new(BTreeMap::new());
        let mut edited = EDITED.lock().unwrap_or_else(PoisonError::into_inner);
        edited
            .entry((self.name, edits))
            .or_insert_with(|| Box::leak(Box::new(Assembled::of(&self.main, self.parts, edits))))
    }

    /// The text as Redis runs it; each file's begin is marked.
    pub(crate) fn text(&self) -> &str {
        &self.assembled().text
    }

    /// Its files, in their order.
    #[cfg(test)]
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.parts.iter().flat_map(|part| part.files(self.parts)).chain(std::iter::once(&self.main))
    }

    /// A status that the script does not have is no reply of it.
    fn check_status(&self, reply: &Reply) -> Result<(), Failure> {
        let mut known = self.statuses.iter().copied().flatten().chain(self.refusals);
        let found = reply.peek();
        if self.statuses.is_empty() || found.is_some_and(|found| known.any(|word| word.as_bytes() == found)) {
            return Ok(());
        }
        let found = found.map_or("none".into(), String::from_utf8_lossy);
        Err(Failure::unknown(format!("a status that {} does not have: {found}", self.name)))
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

/// How a script is named to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// By the hash of its text: the server has to know it already.
    Hash,
    /// By its text: the server runs it, and knows it from then on.
    Text,
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

    /// Adds streams and rows in flight of `queues` to KEYS and their names to ARGV, as scripts over all queues want them.
    pub(crate) fn queues(mut self, keys: &Keys, queues: &[QueueName]) -> Self {
        for queue in queues {
            self.push_key(keys.queue(queue));
            self.push_key(keys.in_flight(queue));
            self.push_arg(queue.as_str());
        }
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

    /// Runs the script. One that the server has forgotten (restart, failover, SCRIPT FLUSH) is called again with its
    /// text: NOSCRIPT is a refusal before execution, so nothing can happen twice by that. One command loads and runs
    /// it, so that nobody can flush it in between.
    ///
    /// # Cancel safety
    /// If the future is dropped the script may or may not have run; the link replaces its connection.
    pub(crate) async fn run(self, link: &mut Link) -> Result<Reply, Failure> {
        debug_assert!(
            self.script.keys.fit(self.keys.len()),
            "{}: {} keys",
            self.script.name,
            self.keys.len()
        );
        debug_assert!(
            self.script.args.fit(1 + self.args.len()),
            "{}: {} args",
            self.script.name,
            self.args.len()
        );
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
        use crate::sabotage::meet;
        let reply = self.run_text(self.script.edited(sabotage.edits()), link).await?;
        if !sabotage.is_split() {
            return Ok(reply);
        }
        meet().await;
        let act = self.script.edited(sabotage.edits_of_act(reply.0.as_slice()));
        self.run_text(act, link).await
    }

    async fn run_text(&self, assembled: &Assembled, link: &mut Link) -> Result<Reply, Failure> {
        let mut value = self.attempt(assembled, By::Hash, link).await;
        if value.as_ref().is_err_and(Failure::is_no_script) {
            value = self.attempt(assembled, By::Text, link).await;
        }
        let value = value.map_err(|failure| failure.in_words(|words| assembled.locate(words)))?;
        self.read(value).inspect_err(|_| link.poison())
    }

    async fn attempt(&self, assembled: &Assembled, by: By, link: &mut Link) -> Result<Value, Failure> {
        let command = self.command_of(assembled, by);
        #[cfg(feature = "explore")]
        link.script.replace(self.script.name);
        link.run(&command).await
    }

    fn command_of(&self, Assembled { text, sha, reads_only, .. }: &Assembled, by: By) -> Cmd {
        let mut command = Cmd::with_capacity(4 + self.keys.len() + self.args.len(), 64 * self.args.len());
        // The names with RO need no right to write: a user who may only look up can be given just them.
        let (name, script) = match (by, reads_only) {
            (By::Hash, true) => ("EVALSHA_RO", sha),
            (By::Hash, false) => ("EVALSHA", sha),
            (By::Text, true) => ("EVAL_RO", text),
            (By::Text, false) => ("EVAL", text),
        };
        command.arg(name).arg(script).arg(self.keys.len());
        self.keys.iter().for_each(|key| _ = command.arg(key));
        command.arg(&self.nonce);
        self.args.iter().for_each(|arg| _ = command.arg(arg));
        command
    }

    /// The call as one command of a transaction; its reply is read by [`Call::answered`].
    pub(crate) fn command(&self, by: By) -> Cmd {
        self.command_of(self.script.assembled(), by)
    }

    /// What the script answered to this call in a transaction.
    pub(crate) fn answered(&self, reply: Result<Value, Failure>) -> Result<Reply, Failure> {
        let located = |failure: Failure| failure.in_words(|words| self.script.assembled().locate(words));
        self.read(reply.map_err(located)?)
    }

    /// What the script answered to this call; a reply with another nonce answers another.
    fn read(&self, value: Value) -> Result<Reply, Failure> {
        let mut reply = Reply::of(value)?;
        if reply.bytes("nonce").ok().as_deref() != Some(self.nonce.as_bytes()) {
            return Err(Failure::unknown("a reply that answers another call"));
        }
        self.script.check_status(&reply)?;
        Ok(reply)
    }

    /// The value by which this call is known.
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }
}

#[cfg(test)]
mod tests {
    use super::text::Edit;
    use super::*;
    use crate::connection::connect::{RedisOptions, connect};
    use crate::embedded::Temporary;
    use crate::scripts::lock::LOCK_LOOK;
    use crate::scripts::settle::SETTLE;

    #[test]
    fn every_line_of_a_script_is_found_in_its_file() {
        let assembled = SETTLE.assembled();
        for (n, line) in assembled.text.lines().enumerate() {
            let located = assembled.locate(&format!("user_script:{}: it failed", n + 1));
            let (name, rest) = located.split_once(':').unwrap();
            let file = SETTLE.files().find(|file| file.name == name).unwrap();
            let number: usize = rest.split(':').next().unwrap().parse().unwrap();
            let is_frame = line.starts_with("-- file: ")
                || line.starts_with("local function rare_kinds()")
                || line.starts_with("local function inventory_kinds()")
                || line.starts_with("local function case_kinds()")
                || line == "end";
            let there = file.text.lines().nth(number - 1);
            assert!(there == Some(line) || is_frame, "{located}: {line:?}, and there {there:?}");
        }
        assert_eq!(assembled.locate("user_script:x and user_script:"), "user_script:x and user_script:");
        assert_eq!(assembled.locate("ERR no script"), "ERR no script");
    }

    /// Neither answered nor believed: the connection goes as after a reply to another call.
    #[tokio::test]
    async fn a_status_that_a_script_does_not_have_is_no_reply() {
        let redis = Temporary::start(&[]).unwrap();
        let mut link = link_to(&redis).await;
        let other = Assembled::of(&LOCK_LOOK.main, LOCK_LOOK.parts, &[("'free'", "'vacant'")]);
        let failure = LOCK_LOOK.call().key("key".into()).run_text(&other, &mut link).await.unwrap_err();
        assert!(failure.may_have_happened(), "{failure}");
        let said = failure.to_string();
        assert!(said.contains("a status that lock_look does not have: vacant"), "{said}");
    }

    async fn link_to(redis: &Temporary) -> Link {
        let options = RedisOptions { url: Some(redis.url()), ..RedisOptions::default() };
        connect(options).await.unwrap().0.link().await.unwrap()
    }

    #[tokio::test]
    async fn an_error_in_a_script_names_file_and_line() {
        const PLANTED: Edit =
            ("local function read_head()\n", "local function read_head()\n  no_such_function()\n");
        let redis = Temporary::start(&[]).unwrap();
        let mut link = link_to(&redis).await;
        let head = SETTLE.files().find(|file| file.name == "settle/head.lua").unwrap();
        let line = head.text.lines().position(|line| line == PLANTED.0.trim_end()).unwrap() + 2;

        let broken = Assembled::of(&SETTLE.main, SETTLE.parts, &[PLANTED]);
        let mut call = SETTLE.call().arg("default");
        (0..9).for_each(|n| _ = call.push_key(format!("key{n}")));
        (0..6).for_each(|_| call.push_arg(""));
        let failure = call.arg(b"\x90").arg(b"\x90").run_text(&broken, &mut link).await.unwrap_err();
        let said = failure.to_string();
        assert!(said.contains(&format!("settle/head.lua:{line}")), "{said}");
        assert!(said.contains("no_such_function") && !said.contains("user_script"), "{said}");
    }
}
