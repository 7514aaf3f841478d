//! The Redis of an exploration: a server of its own, whose clock stands still, put back to one start state for each
//! order, and spoken to over one blocking socket.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, anyhow};
use redis::{Parser, Value};
use tempfile::TempDir;
use tollgate::embedded::Temporary;
use tollgate::gate::Words;
use tollgate::ids::QueueName;
use tollgate::keys::Keys;

use super::clock::Clock;

/// What of the state decides which calls can come to something, and a hash of all of it. `DUMP` sees consumer groups.
const LOOK: &str = r"
local keys = redis.call('KEYS', '*')
table.sort(keys)
local dumps = {}
for i, key in ipairs(keys) do dumps[i] = key .. '\0' .. redis.call('DUMP', key) end
local queue, scheduled, payouts, head, in_flight = unpack(KEYS)
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local taken = redis.call('HGET', head, 'taken:' .. string.match(queue, '[^:]*$')) or '0-0'
local waiting, holders = #redis.call('XRANGE', queue, '(' .. taken, '+', 'COUNT', 1), {}
for _, row in ipairs(redis.call('HVALS', in_flight)) do holders[#holders + 1] = string.match(row, '^%x*\t([^\t]*)') end
local function due(key) return #redis.call('ZRANGEBYSCORE', key, '-inf', now_ms, 'LIMIT', 0, 1) end
return { redis.sha1hex(table.concat(dumps, '\0')), waiting, due(scheduled), due(payouts),
  redis.call('ZCARD', scheduled), redis.call('ZCOUNT', payouts, '-inf', now_ms + 86400000), holders }
";

/// What a look at the server shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    /// Of every key's content.
    pub(super) digest: String,
    /// Whether an entry was taken by nobody yet.
    pub(super) waits: bool,
    pub(super) is_scheduled_due: bool,
    pub(super) is_payout_due: bool,
    /// Whether anything is scheduled, or to be paid within a day.
    pub(super) is_open: bool,
    /// Who holds rows in flight.
    pub(super) holders: Vec<String>,
}

pub(super) struct Ground {
    server: Temporary,
    line: Line,
    pub(super) clock: Clock,
    /// Every key at the beginning of an order.
    start: Vec<(Vec<u8>, Vec<u8>)>,
    keys: [String; 5],
    /// The scripts that were ever loaded, by their text.
    scripts: BTreeMap<Vec<u8>, ()>,
    /// Whether the server has forgotten scripts.
    was_flushed: bool,
    /// Whether this order loaded a script that no order had before: it is not what it will be the next time.
    pub(super) has_learned: bool,
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
            // It sleeps until a time of the real clock, which has always come by ours: it would never sleep.
            .chain(["--jemalloc-bg-thread", "no"])
            .collect::<Vec<_>>();
        let server = Temporary::start_with(&settings, &clock.variables())?;
        let line = Line::open(&server)?;
        Ok(Self {
            server,
            line,
            clock,
            start: Vec::new(),
            keys: Default::default(),
            scripts: BTreeMap::new(),
            was_flushed: false,
            has_learned: false,
            _dir: dir,
        })
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    /// What the server holds now is what every order begins with.
    pub(super) fn begin_here(&mut self, keys: &Keys) -> anyhow::Result<()> {
        let words = |words: &[&[u8]]| vec![words.iter().map(|word| word.to_vec()).collect()];
        let [Value::Array(names)] = &self.ask(&words(&[b"KEYS", b"*"]))?[..] else {
            return Err(anyhow!("KEYS answered no list"));
        };
        let names: Vec<Vec<u8>> = names.iter().filter_map(bytes).collect();
        self.start.clear();
        for name in names {
            let dump = self.ask(&words(&[b"DUMP", &name]))?;
            self.start.push((name, dump.first().and_then(bytes).context("DUMP answered nothing")?));
        }
        self.start.sort();
        let queue = QueueName::default();
        self.keys =
            [keys.queue(&queue), keys.scheduled(), keys.payouts(), keys.head(), keys.in_flight(&queue)];
        Ok(())
    }

    /// Puts everything back to the beginning of an order.
    pub(super) fn reset(&mut self) -> anyhow::Result<()> {
        self.clock.reset()?;
        let mut commands: Vec<Words> = vec![vec![b"FLUSHALL".to_vec()]];
        for (name, dump) in &self.start {
            commands.push(vec![b"RESTORE".to_vec(), name.clone(), b"0".to_vec(), dump.clone()]);
        }
        if std::mem::take(&mut self.was_flushed) {
            let loads =
                self.scripts.keys().map(|text| vec![b"SCRIPT".to_vec(), b"LOAD".to_vec(), text.clone()]);
            commands.extend(loads);
        }
        self.has_learned = false;
        for reply in self.ask(&commands)? {
            if let Value::ServerError(error) = reply {
                return Err(anyhow!("the start state cannot be restored: {error:?}"));
            }
        }
        Ok(())
    }

    /// Makes the calls of a request, and answers what the server did.
    pub(super) fn ask(&mut self, commands: &[Words]) -> anyhow::Result<Vec<Value>> {
        for command in commands {
            if let [script, load, text] = &command[..]
                && script == b"SCRIPT"
                && load == b"LOAD"
                && self.scripts.insert(text.clone(), ()).is_none()
            {
                self.has_learned = true;
            }
        }
        self.line.ask(commands)
    }

    /// Knows the scripts that the other one has met, from the next order on.
    pub(super) fn learn_from(&mut self, other: &Self) {
        self.scripts.extend(other.scripts.clone());
        self.was_flushed = true;
    }

    /// The server forgets every script.
    pub(super) fn flush_scripts(&mut self) -> anyhow::Result<()> {
        self.was_flushed = true;
        self.line.ask(&[vec![b"SCRIPT".to_vec(), b"FLUSH".to_vec(), b"SYNC".to_vec()]]).map(drop)
    }

    /// SIGKILL, and a start on what is on disk.
    pub(super) fn restart(&mut self) -> anyhow::Result<()> {
        self.was_flushed = true;
        self.server.restart()?;
        self.line = Line::open(&self.server)?;
        Ok(())
    }

    pub(super) fn look(&mut self) -> anyhow::Result<Look> {
        let mut command: Words = vec![b"EVAL".to_vec(), LOOK.as_bytes().to_vec(), b"5".to_vec()];
        command.extend(self.keys.iter().map(|key| key.clone().into_bytes()));
        let replies = self.line.ask(&[command])?;
        let [Value::Array(items)] = &replies[..] else {
            return Err(anyhow!("no look at Redis: {replies:?}"));
        };
        let number = |at: usize| matches!(items.get(at), Some(Value::Int(number)) if *number > 0);
        let holders = match items.get(6) {
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(bytes)
                .map(|name| String::from_utf8_lossy(&name).into_owned())
                .collect(),
            _ => Vec::new(),
        };
        Ok(Look {
            digest: items
                .first()
                .and_then(bytes)
                .map(|digest| String::from_utf8_lossy(&digest).into_owned())
                .unwrap_or_default(),
            waits: number(1),
            is_scheduled_due: number(2),
            is_payout_due: number(3),
            is_open: number(4) || number(5),
            holders,
        })
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes.clone()),
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
