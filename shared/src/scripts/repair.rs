//! `repair` and `repair_parked`: put right what was changed past the scripts, and note in the journal who did it and
//! why. What is right, the caller has proved (the audit crate, by its model); that it still is, the scripts check.

use crate::connection::link::Link;
use crate::protocol::ids::{Actor, JobId};
use crate::protocol::keys::Keys;
use crate::scripts::script::{Keyword, keywords, parts, script};

use super::error::{ScriptError, status};
use super::queue::Apply;

script!(
    REPAIR, "repair", [
        parts::NUMBERS, parts::CLOCK, parts::FORMAT, parts::HEAD_COUNTERS, parts::CHECKS, parts::JOURNAL_NOTE,
    ],
    keys [head journal; key],
    args [nonce by seq hash note; word],
    status Written,
    refusals [uninitialised partition_frozen corrupt_partition]
);

script!(
    REPAIR_PARKED, "repair_parked",
    [
        parts::NUMBERS, parts::CLOCK, parts::FORMAT, parts::HEAD_COUNTERS, parts::CHECKS, parts::PARKED_ROW,
        parts::JOURNAL_NOTE,
    ],
    keys [head journal parked scheduled dead],
    args [nonce by note apply; id],
    status ParkedStatus,
    each ParkedRepair,
    refusals [uninitialised partition_frozen corrupt_partition]
);

keywords!(
    enum ParkedStatus {
        Done = "done",
    }
);

/// Most ids of one [`parked`] call.
pub const IDS_MAX: usize = 200;

/// One write of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are named by what they are
pub enum Write {
    /// Deletes a key, and sets these fields if there are any.
    Hash(String, Vec<(String, String)>),
    /// Sets a key to this text, whatever it holds.
    Text(String, String),
    /// Puts a member into a sorted set.
    Add { key: String, score: u64, member: String },
    /// Takes a member out of a sorted set.
    Remove { key: String, member: String },
    /// Moves a key that was filled before over another.
    Rename { from: String, to: String },
}

keywords! {
    /// What came of a call.
    pub enum Written {
        /// Everything is written.
        Repaired = "repaired",
        /// Nothing is: the history went on since.
        Moved = "moved",
    }
}

/// Where a partition's history was when the values were proved.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The seq of its last line.
    pub seq: u64,
    /// The hash of its last entry.
    pub hash: &'a str,
}

/// Writes what was proved at this place of the history, all of it or nothing.
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn write(
    link: &mut Link,
    keys: &Keys,
    at: At<'_>,
    by: Option<&Actor>,
    note: &str,
    writes: &[Write],
) -> Result<Written, ScriptError> {
    let mut call = REPAIR.call().key(keys.head()).key(keys.journal());
    call.push_arg(by.map(Actor::as_str).unwrap_or_default());
    call.push_arg(at.seq);
    call.push_arg(at.hash);
    call.push_arg(note);
    for write in writes {
        let mut command = |name: &str, key: &str, words: &[&str]| {
            let position = call.push_key(key.to_owned());
            call.push_arg(words.len() + 2);
            call.push_arg(name);
            call.push_arg(position);
            words.iter().for_each(|word| call.push_arg(*word));
        };
        match write {
            Write::Text(key, text) => command("SET", key, &[text]),
            Write::Hash(key, fields) => {
                command("DEL", key, &[]);
                if !fields.is_empty() {
                    let words: Vec<&str> =
                        fields.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect();
                    command("HSET", key, &words);
                }
            }
            Write::Add { key, score, member } => command("ZADD", key, &[&score.to_string(), member]),
            Write::Remove { key, member } => command("ZREM", key, &[member]),
            Write::Rename { from, to } => {
                let to = call.push_key(to.clone()).to_string();
                let from = call.push_key(from.clone());
                call.push_arg(3);
                call.push_arg("RENAME");
                call.push_arg(from);
                call.push_arg(to);
            }
        }
    }
    let mut reply = call.run(link).await?;
    status(&mut reply)
}

keywords! {
    /// What is the matter with the place of a parked job, and was or would be done about it.
    pub enum ParkedRepair {
        /// Nothing.
        Intact = "intact",
        /// It goes back to `scheduled`.
        ToScheduled = "to_scheduled",
        /// It goes back to `dead`.
        ToDead = "to_dead",
        /// It is back in its stream and is taken out of the others.
        Unlisted = "unlisted",
        /// Its bytes are gone: it is counted as discarded.
        Lost = "lost",
        /// Its row cannot be read; left as it is.
        Damaged = "corrupt_state",
    }
}

impl ParkedRepair {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        self.word()
    }
}

/// Puts parked jobs where their rows say; at most [`IDS_MAX`] ids.
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn parked(
    link: &mut Link,
    keys: &Keys,
    by: Option<&Actor>,
    note: &str,
    apply: Apply,
    ids: &[JobId],
) -> Result<Vec<ParkedRepair>, ScriptError> {
    let mut call = REPAIR_PARKED
        .call()
        .key(keys.head())
        .key(keys.journal())
        .key(keys.parked())
        .key(keys.scheduled())
        .key(keys.dead())
        .arg(by.map(Actor::as_str).unwrap_or_default())
        .arg(note)
        .arg(u8::from(apply == Apply::Yes));
    ids.iter().for_each(|id| call.push_arg(id.as_str()));
    let mut reply = call.run(link).await?;
    let ParkedStatus::Done = status(&mut reply)?;
    Ok(ids.iter().map(|_| reply.keyword("result")).collect::<Result<_, _>>()?)
}
