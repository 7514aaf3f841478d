//! `lookup`: what is known of ids in one partition.
//!
//! `docs/lookup.lua` is this script for programs in other languages, and `docs/protocol.md` what they may rely on.

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::code::Code;
use crate::protocol::fingerprint::Fingerprint;
use crate::protocol::ids::{Bucket, JobId};
use crate::protocol::keys::Keys;
use crate::scripts::script::{Keyword, keywords, parts, script};

use super::error::{ScriptError, status};

script!(
    LOOKUP, "lookup", [
        parts::NUMBERS, parts::FORMAT, parts::CHECKS, parts::PARKED_ROW, parts::RECEIPT,
    ],
    keys [head parked kept; receipts hold],
    args [nonce; id hour bucket],
    status Status,
    each Known,
    refusals [uninitialised corrupt_partition]
);

keywords!(
    enum Status {
        Found = "found",
    }
);

keywords! {
    enum Known {
        Receipt = "receipt",
        Parked = "parked",
        Expired = "expired",
        None = "none",
    }
}

/// Most ids in one call.
pub const IDS_MAX: usize = 500;

/// What one partition knows of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace {
    /// Decided.
    Receipt {
        /// Of the request that was decided.
        fingerprint: Fingerprint,
        /// What was decided.
        code: Code,
        /// The journal line that says so.
        seq: u64,
        /// How much of it was given back.
        given_back: Option<u64>,
    },
    /// It left its stream undecided.
    Parked {
        /// Where it is.
        state: ParkedState,
        /// Of the request.
        fingerprint: Fingerprint,
        /// When it is due, or when it gave up, in milliseconds since the Unix epoch.
        at_ms: u64,
        /// Why it is dead.
        reason: Option<Code>,
    },
    /// The id is below the receipts floor: if it was decided, the journal knows.
    Expired,
    /// Nothing: it waits in a stream, or never arrived.
    None,
}

/// Where a parked job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedState {
    /// Waits for its time.
    Scheduled,
    /// Gave up.
    Dead,
    /// Back in its stream.
    Queued,
}

impl ParkedState {
    /// The name in Redis and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Dead => "dead",
            Self::Queued => "queued",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Scheduled, Self::Dead, Self::Queued].into_iter().find(|state| state.name() == name)
    }
}

/// Asks one partition for `ids`, at most [`IDS_MAX`]; answers the partition's seq and one trace for each id.
///
/// # Errors
/// As [`settle`](super::settle::settle); it only reads.
pub async fn lookup(link: &mut Link, keys: &Keys, ids: &[JobId]) -> Result<(u64, Vec<Trace>), ScriptError> {
    let mut call = LOOKUP.call().key(keys.head()).key(keys.parked()).key(keys.receipts(Bucket::Kept));
    for id in ids {
        call.push_arg(id.as_str());
        match id.bucket() {
            bucket @ Bucket::Hour(hour) => {
                let position = call.push_key(keys.receipts(bucket));
                call.push_key(keys.hold(id));
                call.push_arg(hour);
                call.push_arg(position);
            }
            Bucket::Kept => {
                call.push_arg("");
                call.push_arg("");
            }
        }
    }
    let mut reply = call.run(link).await?;
    let Status::Found = status(&mut reply)?;
    let seq = reply.number("seq")?;
    let mut traces = Vec::with_capacity(ids.len());
    for _ in ids {
        let text = reply.text("trace")?;
        traces.push(
            read(&text).ok_or_else(|| Failure::unknown(format!("a trace that cannot be read: {text}")))?,
        );
    }
    Ok((seq, traces))
}

fn read(text: &str) -> Option<Trace> {
    let words: Vec<&str> = text.split(' ').collect();
    let (known, words) = words.split_first()?;
    match (Known::of(known)?, words) {
        (Known::Receipt, &[fingerprint, code, seq, ref given_back @ ..]) => Some(Trace::Receipt {
            fingerprint: Fingerprint::parse(fingerprint)?,
            code: Code::from_name(code)?,
            seq: seq.parse().ok()?,
            given_back: match given_back {
                [] => None,
                [sum, _] => Some(sum.parse().ok()?),
                _ => return None,
            },
        }),
        (Known::Parked, &[state, fingerprint, at_ms, reason]) => Some(Trace::Parked {
            state: ParkedState::from_name(state)?,
            fingerprint: Fingerprint::parse(fingerprint)?,
            at_ms: at_ms.parse().ok()?,
            reason: Code::from_name(reason),
        }),
        (Known::Expired, []) => Some(Trace::Expired),
        (Known::None, []) => Some(Trace::None),
        (Known::Receipt | Known::Parked | Known::Expired | Known::None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_script_is_the_one_that_runs() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lookup.lua");
        let text = LOOKUP.text();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, text).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap();
        assert_eq!(published, text, "docs/lookup.lua: run UPDATE_DOCS=1 cargo test -p tollgate published");
    }
}
