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

/// A file of Lua.
#[derive(Debug)]
pub(crate) struct File {
    /// Below `lua/`.
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// The file of this name below `lua/`.
macro_rules! file {
    ($name:expr) => {
        $crate::script::File {
            name: $name,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/", $name)),
        }
    };
}
pub(crate) use file;

/// What stands between a script's header and its code.
#[derive(Debug)]
pub(crate) enum Part {
    /// A file as it is.
    File(File),
    /// Files that few calls need, as the body of one function of this name and these parameters: what it costs a call to
    /// make their functions and tables is paid by those that call it.
    Function(&'static str, &'static [File]),
}

/// Lua that several scripts share.
pub(crate) mod parts {
    use super::Part;

    macro_rules! part {
        ($static:ident, $name:expr) => {
            pub(crate) const $static: Part = Part::File(file!($name));
        };
    }
    part!(NUMBERS, "parts/numbers.lua");
    part!(CHECKS, "parts/checks.lua");
    part!(PARKED_ROW, "parts/parked_row.lua");
    part!(DEAD_COUNT, "parts/dead_count.lua");
    part!(RECEIPT, "parts/receipt.lua");
    part!(COUNTED, "parts/counted.lua");
    part!(CLOCK, "parts/clock.lua");
    part!(GROUP, "parts/group.lua");
    part!(QUEUE_FIELDS, "parts/queue_fields.lua");
    part!(FORMAT, "parts/format.lua");
    part!(HEAD_COUNTERS, "parts/head_counters.lua");
    part!(IN_FLIGHT, "parts/in_flight.lua");
    part!(ROW, "parts/row.lua");
    part!(ROWS, "parts/rows.lua");
    part!(ENTRIES, "parts/entries.lua");
    part!(QUEUE_STATE, "parts/queue_state.lua");
    part!(PARTITION_STATS, "parts/partition_stats.lua");
    part!(JOURNAL_NOTE, "parts/journal_note.lua");
    part!(QUEUE_STREAMS, "parts/queue_streams.lua");
    part!(REQUEUE, "parts/requeue.lua");
}

/// One script: its file, the parts it uses, and the names of its KEYS and ARGV that every call has.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) main: File,
    pub(crate) parts: &'static [Part],
    pub(crate) keys: &'static [&'static str],
    pub(crate) args: &'static [&'static str],
    pub(crate) assembled: OnceLock<Assembled>,
}

/// The text as Redis runs it.
pub(crate) struct Assembled {
    text: String,
    /// Where each file begins: the line of the text, which line of the file that is, and the file.
    begins: Vec<(usize, usize, &'static str)>,
    sha: String,
    reads_only: bool,
}

/// What is replaced in the text of a file, wherever it occurs, and by what: for bugs that a test plants.
pub(crate) type Edit = (&'static str, &'static str);

impl Assembled {
    fn of(main: &File, parts: &[Part], edits: &[Edit]) -> Self {
        let edited =
            |text: &str| edits.iter().fold(text.to_owned(), |text, (find, other)| text.replace(find, other));
        let main_text = edited(main.text);
        let is_header = |line: &&str| line.starts_with("#!") || line.starts_with("--");
        let header: usize = main_text.split_inclusive('\n').take_while(is_header).map(str::len).sum();
        let (header, code) = main_text.split_at(header);
        let mut assembled = Self {
            text: header.to_owned(),
            begins: vec![(1, 1, main.name)],
            sha: String::new(),
            reads_only: header.starts_with("#!lua flags=no-writes"),
        };
        for part in parts {
            match part {
                Part::File(file) => assembled.push(file.name, &edited(file.text), 1),
                Part::Function(name, files) => {
                    assembled.text.push_str(&format!("local function {name}\n"));
                    files.iter().for_each(|file| assembled.push(file.name, &edited(file.text), 1));
                    assembled.text.push_str("end\n");
                }
            }
        }
        assembled.push(main.name, code, header.lines().count() + 1);
        assembled.sha =
            Sha1::digest(assembled.text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        assembled
    }

    /// Adds what follows in `file` from its line `line` on.
    fn push(&mut self, file: &'static str, text: &str, line: usize) {
        self.text.push_str(&format!("-- file: {file}\n"));
        self.begins.push((self.text.lines().count() + 1, line, file));
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// `words` of Redis, with `<file>:<line>` where they name a line of the whole text.
    pub(crate) fn locate(&self, words: &str) -> String {
        const NAMED: &str = "user_script:";
        let mut located = String::with_capacity(words.len());
        let mut rest = words;
        while let Some((before, after)) = rest.split_once(NAMED) {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let (line, after) = after.split_at(digits);
            located.push_str(before);
            match line.parse().ok().and_then(|line| self.file_line(line)) {
                Some((file, line)) => located.push_str(&format!("{file}:{line}")),
                None => located.push_str(&format!("{NAMED}{line}")),
            }
            rest = after;
        }
        located + rest
    }

    fn file_line(&self, line: usize) -> Option<(&'static str, usize)> {
        let (begin, first, file) = self.begins.iter().rev().find(|(begin, ..)| *begin <= line)?;
        Some((file, line - begin + first))
    }
}

/// Declares a script: `script!(PARK, "park", [NUMBERS, …], keys [head queue], args [nonce entry])`.
macro_rules! script {
    ($static:ident, $name:literal, [$($part:expr),* $(,)?], keys [$($key:ident)*], args [$($arg:ident)*]) => {
        script!($static, $name, concat!($name, ".lua"), [$($part),*], keys [$($key)*], args [$($arg)*]);
    };
    ($static:ident, $name:literal, $file:expr, [$($part:expr),* $(,)?], keys [$($key:ident)*], args [$($arg:ident)*]) => {
        pub(crate) static $static: $crate::script::Script = $crate::script::Script {
            name: $name,
            main: $crate::script::file!($file),
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
        self.assembled.get_or_init(|| Assembled::of(&self.main, self.parts, &[]))
    }

    /// The text as Redis runs it; each file's begin is marked.
    pub(crate) fn text(&self) -> &str {
        &self.assembled().text
    }

    /// Its files, in their order.
    #[cfg(test)]
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        let of_part = |part: &'static Part| match part {
            Part::File(file) => std::slice::from_ref(file),
            Part::Function(_, files) => files,
        };
        self.parts.iter().flat_map(of_part).chain(std::iter::once(&self.main))
    }

    /// Adds the command that makes the script known to a server.
    pub(crate) fn load(&self, pipeline: &mut redis::Pipeline) {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(self.text());
    }

    /// Makes the script known to the server that the link leads to.
    pub(crate) async fn make_known(&self, link: &mut Link) -> Result<(), Failure> {
        link.run(Cmd::new().arg("SCRIPT").arg("LOAD").arg(self.text())).await.map(drop)
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
        use crate::sabotage::meet;
        let edit = |edits| Assembled::of(&self.script.main, self.script.parts, edits);
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
                link.run(&command).await
            }
            other => other,
        };
        let value = value.map_err(|failure| failure.in_words(|words| assembled.locate(words)))?;
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

    /// The call as one command of a transaction; its reply is read by [`Call::answered`].
    pub(crate) fn command(&self) -> Cmd {
        self.command_of(self.script.assembled())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::{RedisOptions, connect};
    use crate::embedded::Temporary;
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
                || line == "end";
            let there = file.text.lines().nth(number - 1);
            assert!(there == Some(line) || is_frame, "{located}: {line:?}, and there {there:?}");
        }
        assert_eq!(assembled.locate("user_script:x and user_script:"), "user_script:x and user_script:");
        assert_eq!(assembled.locate("ERR no script"), "ERR no script");
    }

    #[tokio::test]
    async fn an_error_in_a_script_names_file_and_line() {
        const PLANTED: Edit =
            ("local function read_head()\n", "local function read_head()\n  no_such_function()\n");
        let redis = Temporary::start(&[]).unwrap();
        let options = RedisOptions { url: Some(redis.url()), ..RedisOptions::default() };
        let (server, _) = connect(options).await.unwrap();
        let mut link = server.link().await.unwrap();
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
