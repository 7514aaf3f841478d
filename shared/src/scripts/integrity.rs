//! `integrity`: which keys of a partition are gone, or hold less than they must.

use crate::connection::link::Link;
use crate::protocol::keys::Keys;
use crate::scripts::script::{keywords, parts, script};

use super::error::{ScriptError, status};

script!(
    INTEGRITY, "integrity", [parts::NUMBERS, parts::FORMAT, parts::CHECKS],
    keys [head journal resources scheduled dead parked],
    args [nonce],
    status Status,
    refusals [uninitialised corrupt_partition]
);

keywords!(
    enum Status {
        Seen = "seen",
    }
);

/// A key that is gone, or holds less than the others say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingKey {
    /// Its name, without the partition's tag.
    pub key: String,
    /// What is missing of it.
    pub what: String,
}

/// Looks at one partition.
///
/// # Errors
/// As [`settle`](super::settle::settle); it only reads.
pub async fn integrity(link: &mut Link, keys: &Keys) -> Result<Vec<MissingKey>, ScriptError> {
    let mut reply = INTEGRITY
        .call()
        .key(keys.head())
        .key(keys.journal())
        .key(keys.resources())
        .key(keys.scheduled())
        .key(keys.dead())
        .key(keys.parked())
        .run(link)
        .await?;
    let Status::Seen = status(&mut reply)?;
    let mut missing = Vec::new();
    while !reply.is_empty() {
        missing.push(MissingKey { key: reply.text("key")?, what: reply.text("what")? });
    }
    Ok(missing)
}
