//! What kind of call waits: when it can come to something, what can happen to it, and how it is told to a person.

use redis::Value;
use tollgate::gate::{Request, Words};
use tollgate::scripts::settle::packed_texts;

use super::ground::Look;
use super::process::{Asked, Told};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// A blocking read that waits for work.
    Wait,
    /// Takes a batch.
    Take,
    /// An agent's look at the rows in flight: takes one over from another worker.
    Recover,
    /// Puts back what is due.
    Promote,
    /// Looks for payouts that are due.
    Look,
    /// Reads, and changes nothing.
    Read,
    /// Whatever else changes something, or asks the gateway.
    Change,
}

impl Nature {
    pub(super) fn of(asked: &Asked) -> Self {
        let Asked::Redis(Request { script, commands }) = asked else { return Self::Change };
        let name = commands.first().and_then(|command| command.first()).map(Vec::as_slice);
        match (script, name) {
            (Some("take"), Some(b"MULTI")) => Self::Take,
            (Some("recover"), _) if !commands.iter().any(reads_own) => Self::Recover,
            (Some("promote"), _) => Self::Promote,
            (Some("payouts_due"), _) => Self::Look,
            (None, Some(b"XREADGROUP")) => Self::Wait,
            (
                _,
                Some(
                    b"EVALSHA_RO" | b"EVAL_RO" | b"GET" | b"HGET" | b"HMGET" | b"HGETALL" | b"TIME"
                    | b"ZSCORE" | b"XRANGE",
                ),
            ) => Self::Read,
            _ => Self::Change,
        }
    }

    /// Whether an agent asks it again and again, whatever the process is at.
    pub(super) fn is_poll(self) -> bool {
        matches!(self, Self::Recover | Self::Promote | Self::Look)
    }

    /// Whether it can come to something now. What cannot changes nothing, and is not tried.
    pub(super) fn is_enabled(self, look: &Look, consumer: &str) -> bool {
        match self {
            Self::Wait | Self::Take => look.waits,
            Self::Recover => look.holders.iter().any(|holder| holder != consumer),
            Self::Promote => look.is_scheduled_due,
            Self::Look => look.is_payout_due,
            Self::Read | Self::Change => true,
        }
    }
}

/// Whether a recovery looks for what the worker lost: a reader does, once; an agent also asks for more, or less, again
/// and again.
fn reads_own(words: &Words) -> bool {
    words.iter().any(|word| word == b"own")
}

/// The commands as they are sent here: nothing blocks.
pub(super) fn unblocked(commands: &[Words]) -> Vec<Words> {
    let mut commands = commands.to_vec();
    for command in &mut commands {
        if let Some(at) = command.iter().position(|word| word == b"BLOCK") {
            command.drain(at..at + 2);
        }
    }
    commands
}

/// What a call asks, in a few words; `ids` are the jobs that there are.
pub(super) fn asks(asked: &Asked, ids: &[&str]) -> String {
    match asked {
        Asked::Bank(question) => match &question.payment {
            Some(_) => "bank: pay".to_owned(),
            None => "bank: was it paid?".to_owned(),
        },
        Asked::Redis(Request { script, commands }) => {
            let first = commands.first().and_then(|command| command.first());
            let command = first.map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
            let name = match (script, command.as_str()) {
                (Some(name), "EVAL" | "EVAL_RO") => format!("{name} by its text"),
                (Some(name), _) => (*name).to_owned(),
                (None, "XREADGROUP") => "wait".to_owned(),
                (None, "SADD") => "enqueue".to_owned(),
                (None, _) => command.to_lowercase(),
            };
            // The jobs of a settle call are packed into one word.
            let words = || {
                commands.iter().flatten().flat_map(|word| match packed_texts(word) {
                    texts if texts.is_empty() => vec![word.as_slice()],
                    texts => texts,
                })
            };
            let named = ids.iter().filter(|id| words().any(|word| mentions(word, id)));
            let named: Vec<&str> = named.copied().collect();
            // A payout's step is known by its kind.
            let kind = words().find(|word| word.starts_with(b"payout_") && *script == Some("settle"));
            let kind = kind.map(|kind| format!(" {}", String::from_utf8_lossy(kind))).unwrap_or_default();
            format!("{name}{kind} {}", named.join(" ")).trim_end().to_owned()
        }
    }
}

/// What came of it.
pub(super) fn says(told: &Told, ids: &[&str]) -> String {
    match told {
        Told::Bank(None) => "no answer".to_owned(),
        Told::Bank(Some((status, _))) => status.to_string(),
        Told::Redis(Err(failure)) => failure.to_string(),
        Told::Redis(Ok(values)) => {
            let mut words = Vec::new();
            // Of a transaction only what it executed says something.
            let queued = |value: &Value| *value == Value::SimpleString("QUEUED".to_owned());
            let values = if values.iter().any(queued) { &values[values.len() - 1..] } else { values };
            values.iter().for_each(|value| collect(value, ids, &mut words));
            words.dedup();
            words.truncate(6);
            if words.is_empty() { "nothing".to_owned() } else { words.join(" ") }
        }
    }
}

fn mentions(word: &[u8], id: &str) -> bool {
    let quoted = format!("\"{id}\"");
    word == id.as_bytes() || word.windows(quoted.len()).any(|part| part == quoted.as_bytes())
}

fn collect(value: &Value, ids: &[&str], words: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, ids, words)),
        Value::ServerError(error) => words.push(format!("{error:?}").chars().take(40).collect()),
        Value::BulkString(bytes) => {
            if let Some(id) = ids.iter().find(|id| bytes.len() > id.len() && mentions(bytes, id)) {
                return words.push((*id).to_owned());
            }
            let text = String::from_utf8_lossy(bytes);
            // Nonces, times, hashes, keys and bodies say nothing here.
            let is_word = text.len() < 40
                && text.contains(|c: char| c.is_ascii_lowercase())
                && !text.contains(['{', '-'])
                && !(text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
            if is_word && text != "job" {
                words.push(text.into_owned());
            }
        }
        _ => {}
    }
}
