//! A Redis of an exploration: a server of its own, whose clock stands still, put to whatever state is asked for, and
//! spoken to over one blocking socket.

use std::collections::BTreeSet;
use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use anyhow::{Context, anyhow, ensure};
use redis::{Parser, Value};
use tempfile::TempDir;
use tollgate::embedded::Temporary;
use tollgate::gate::Words;
use tollgate::ids::QueueName;
use tollgate::keys::Keys;

use super::clock::{BEGIN_US, Clock};
use super::script;

/// All that a database holds, and what of it decides which calls can come to something. `DUMP` sees consumer
/// groups, and no time to live: nothing here may have one.
const LOOK: &str = r"
local keys = redis.call('KEYS', '*')
table.sort(keys)
local dumps = {}
for i, key in ipairs(keys) do
  if redis.call('PTTL', key) ~= -1 then return redis.error_reply('ERR ' .. key .. ' has a time to live, which no DUMP shows') end
  dumps[i] = redis.call('DUMP', key)
end
local queue, scheduled, payouts, head, in_flight = unpack(KEYS)
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local taken = redis.call('HGET', head, 'taken:' .. string.match(queue, '[^:]*$')) or '0-0'
local waiting, holders = #redis.call('XRANGE', queue, '(' .. taken, '+', 'COUNT', 1), {}
for _, row in ipairs(redis.call('HVALS', in_flight)) do holders[#holders + 1] = string.match(row, '^%x*\t([^\t]*)') end
local function due(key) return #redis.call('ZRANGEBYSCORE', key, '-inf', now_ms, 'LIMIT', 0, 1) end
return { keys, dumps, waiting, due(scheduled), due(payouts),
  redis.call('ZCARD', scheduled), redis.call('ZCOUNT', payouts, '-inf', now_ms + 86400000), holders }
";

/// What a look at the server shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    /// Whether an entry was taken by nobody yet.
    pub(super) waits: bool,
    pub(super) is_scheduled_due: bool,
    pub(super) is_payout_due: bool,
    /// Whether anything is scheduled, or to be paid within a day.
    pub(super) is_open: bool,
    /// Who holds rows in flight.
    pub(super) holders: Vec<String>,
}

/// A key, and its `DUMP`.
pub(super) type Key = (Rc<[u8]>, Rc<[u8]>);

/// Every key, ordered by its name, and the time of day.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Content {
    pub(super) keys: Vec<Key>,
    pub(super) now_us: i64,
}

pub(super) struct Ground {
    server: Temporary,
    line: Line,
    clock: Clock,
    /// What the server holds.
    holds: Rc<Content>,
    /// The keys that a look asks about.
    keys: [String; 5],
    /// The scripts that it has to know, by their text.
    scripts: BTreeSet<Vec<u8>>,
    /// Whether it may have forgotten some.
    has_forgotten: bool,
    _dir: TempDir,
}

impl Ground {
    /// Starts a server; `persists` for one that can be restarted.
    pub(super) fn start(persists: bool) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("tollgate-explore-").tempdir()?;
        let clock = Clock::in_dir(dir.path())?;
        let appendonly = if persists { "yes" } else { "no" };
        let settings = ["--appendonly", appendonly, "--appendfsync", "no"]
            .into_iter()
            .chain(["--auto-aof-rewrite-percentage", "0"])
            // A hash table is ordered by a secret of its server, and so would be its DUMP: lists are not.
            .chain(["--hash-max-listpack-value", "1000000", "--zset-max-listpack-value", "1000000"])
            // It sleeps until a time of the real clock, which has always come by ours: it would never sleep.
            .chain(["--jemalloc-bg-thread", "no"])
            .collect::<Vec<_>>();
        let server = Temporary::start_with(&settings, &clock.variables())?;
        let line = Line::open(&server)?;
        Ok(Self {
            server,
            line,
            clock,
            holds: Rc::default(),
            keys: Default::default(),
            scripts: BTreeSet::new(),
            has_forgotten: false,
            _dir: dir,
        })
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    /// Empties it, at the time at which every order begins.
    pub(super) fn empty(&mut self) -> anyhow::Result<()> {
        self.clock.set(BEGIN_US)?;
        self.line.ask(&[command(&[b"FLUSHALL"])])?;
        Ok(())
    }

    /// Asks about these keys whenever it looks.
    pub(super) fn watch(&mut self, keys: &Keys) {
        let queue = QueueName::default();
        self.keys =
            [keys.queue(&queue), keys.scheduled(), keys.payouts(), keys.head(), keys.in_flight(&queue)];
    }

    /// Knows the scripts of another one from now on.
    pub(super) fn learn_from(&mut self, other: &Self) {
        if self.scripts != other.scripts {
            self.scripts.clone_from(&other.scripts);
            self.has_forgotten = true;
        }
    }

    /// Puts the server where it holds `content`: no more is sent than differs.
    pub(super) fn put(&mut self, content: &Rc<Content>) -> anyhow::Result<()> {
        let commands = self.way_to(content);
        self.clock.set(content.now_us)?;
        let replies = self.line.ask(&commands)?;
        self.holds = content.clone();
        accepted(&replies)
    }

    /// Makes calls where the server holds `content`; answers what it said, and what it holds then.
    pub(super) fn ask_at(
        &mut self,
        content: &Rc<Content>,
        commands: &[Words],
    ) -> anyhow::Result<(Vec<Value>, Rc<Content>, Look)> {
        let way = self.way_to(content);
        self.clock.set(content.now_us)?;
        self.ask_and_look(way, commands, content.now_us)
    }

    /// Makes calls on what the server holds, with the scripts that it knows, at this time of day.
    pub(super) fn ask_here(
        &mut self,
        commands: &[Words],
        now_us: i64,
    ) -> anyhow::Result<(Vec<Value>, Rc<Content>, Look)> {
        self.clock.set(now_us)?;
        self.ask_and_look(Vec::new(), commands, now_us)
    }

    /// Whether that is what the server holds.
    pub(super) fn holds(&self, content: &Content) -> bool {
        *self.holds == *content
    }

    fn ask_and_look(
        &mut self,
        way: Vec<Words>,
        commands: &[Words],
        now_us: i64,
    ) -> anyhow::Result<(Vec<Value>, Rc<Content>, Look)> {
        let mut all = way;
        let asked_from = all.len();
        all.extend_from_slice(commands);
        let mut look = command(&[b"EVAL", LOOK.as_bytes(), b"5"]);
        look.extend(self.keys.iter().map(|key| key.clone().into_bytes()));
        all.push(look);
        let mut replies = self.line.ask(&all)?;
        let looked = replies.pop().context("no reply to a look")?;
        let said = replies.split_off(asked_from);
        accepted(&replies)?;
        let (keys, look) = read_look(&looked, &self.holds)?;
        let content = Rc::new(Content { keys, now_us });
        self.holds = content.clone();
        Ok((said, content, look))
    }

    /// The commands that make of what the server holds what it has to hold.
    fn way_to(&mut self, content: &Rc<Content>) -> Vec<Words> {
        let mut commands = Vec::new();
        if std::mem::take(&mut self.has_forgotten) {
            commands.extend(self.scripts.iter().map(|text| command(&[b"SCRIPT", b"LOAD", text])));
        }
        let before = &self.holds.keys;
        for (key, _) in before {
            if content.keys.binary_search_by(|(other, _)| other.cmp(key)).is_err() {
                commands.push(command(&[b"DEL", key]));
            }
        }
        for (key, dump) in &content.keys {
            let is_there = before
                .binary_search_by(|(other, _)| other.cmp(key))
                .is_ok_and(|at| Rc::ptr_eq(&before[at].1, dump) || before[at].1 == *dump);
            if !is_there {
                commands.push(command(&[b"RESTORE", key, b"0", dump, b"REPLACE"]));
            }
        }
        commands
    }

    /// Whether the script of this text is new to it; from now on it is not.
    pub(super) fn learns(&mut self, commands: &[Words]) -> bool {
        let before = self.scripts.len();
        self.scripts.extend(commands.iter().filter_map(script::text).cloned());
        self.scripts.len() > before
    }

    /// The server forgets every script.
    pub(super) fn flush_scripts(&mut self) -> anyhow::Result<()> {
        self.has_forgotten = true;
        accepted(&self.line.ask(&[command(&[b"SCRIPT", b"FLUSH", b"SYNC"])])?)
    }

    /// SIGKILL, and a start on what is on disk.
    pub(super) fn restart(&mut self) -> anyhow::Result<(Rc<Content>, Look)> {
        self.has_forgotten = true;
        self.server.restart()?;
        self.line = Line::open(&self.server)?;
        let (_, content, look) = self.ask_and_look(Vec::new(), &[], self.holds.now_us)?;
        Ok((content, look))
    }
}

/// A look's keys, of which those that are as `before` share its memory, and the rest of it.
fn read_look(looked: &Value, before: &Content) -> anyhow::Result<(Vec<Key>, Look)> {
    let Value::Array(items) = looked else { return Err(anyhow!("no look at Redis: {looked:?}")) };
    let list = |at: usize| match items.get(at) {
        Some(Value::Array(items)) => items.iter().filter_map(bytes).collect(),
        _ => Vec::new(),
    };
    let number = |at: usize| matches!(items.get(at), Some(Value::Int(number)) if *number > 0);
    let (names, dumps) = (list(0), list(1));
    ensure!(names.len() == dumps.len(), "a look with {} keys and {} dumps", names.len(), dumps.len());
    let mut keys: Vec<Key> = Vec::with_capacity(names.len());
    for (name, dump) in names.into_iter().zip(dumps) {
        let known = before.keys.binary_search_by(|(other, _)| (**other).cmp(name));
        let known = known.ok().map(|at| &before.keys[at]);
        let key = known.map_or_else(|| Rc::from(name), |(key, _)| key.clone());
        let same = known.filter(|(_, before)| **before == *dump);
        keys.push((key, same.map_or_else(|| Rc::from(dump), |(_, dump)| dump.clone())));
    }
    let look = Look {
        waits: number(2),
        is_scheduled_due: number(3),
        is_payout_due: number(4),
        is_open: number(5) || number(6),
        holders: list(7).into_iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
    };
    Ok((keys, look))
}

fn accepted(replies: &[Value]) -> anyhow::Result<()> {
    let refused = replies.iter().find(|reply| matches!(reply, Value::ServerError(_)));
    refused.map_or(Ok(()), |error| Err(anyhow!("a state cannot be restored: {error:?}")))
}

fn command(words: &[&[u8]]) -> Words {
    words.iter().map(|word| word.to_vec()).collect()
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

/// One connection, one request at a time.
struct Line {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    parser: Parser,
    out: Vec<u8>,
}

impl Line {
    fn open(server: &Temporary) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(server.socket()).context("the explored Redis")?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, reader, parser: Parser::new(), out: Vec::new() })
    }

    fn ask(&mut self, commands: &[Words]) -> anyhow::Result<Vec<Value>> {
        self.out.clear();
        for command in commands {
            write!(self.out, "*{}\r\n", command.len())?;
            for word in command {
                write!(self.out, "${}\r\n", word.len())?;
                self.out.extend_from_slice(word);
                self.out.extend_from_slice(b"\r\n");
            }
        }
        self.stream.write_all(&self.out).context("the explored Redis has gone")?;
        let mut replies = Vec::with_capacity(commands.len());
        for _ in commands {
            replies.push(self.parser.parse_value(&mut self.reader).context("the explored Redis has gone")?);
        }
        Ok(replies)
    }
}
