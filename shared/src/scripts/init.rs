//! `init_meta` and `init_head`: bring a namespace into being, in steps that can be repeated.

use std::time::Duration;

use crate::connection::link::Link;
use crate::protocol::ids::{Bucket, Identity, Namespace};
use crate::protocol::keys::Keys;
use crate::protocol::partition::{Partition, Partitions};
use crate::protocol::tag::Tag;
use crate::scripts::script::{keywords, millis, parts, script};

use super::error::{ScriptError, status};

script!(
    INIT_META, "init_meta", [parts::NUMBERS, parts::FORMAT],
    keys [meta],
    args [nonce state partitions retention_ms identity tags],
    status MetaStatus,
    refusals [corrupt_partition]
);

keywords! {
    enum MetaStatus {
        Written = "written",
        OtherPartitions = "other_partitions",
    }
}

script!(
    INIT_HEAD, "init_head", [parts::NUMBERS, parts::CLOCK, parts::FORMAT],
    keys [head journal resources parked kept],
    args [nonce partition partitions retention_ms identity],
    status HeadStatus
);

keywords! {
    enum HeadStatus {
        Created = "created",
        Changed = "changed",
        OtherParameters = "other_parameters",
        CorruptState = "corrupt_state",
    }
}

/// The format of heads and of `meta` that this release reads and writes (`lua/parts/format.lua`).
pub const FORMAT: &str = "4";

/// What a namespace is initialised with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// Told from every other namespace; kept for ever.
    pub identity: Identity,
    /// Kept for ever.
    pub partitions: Partitions,
    /// How long receipts of timed ids are kept at least.
    pub retention: Duration,
}

/// The states of a namespace's meta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaState {
    /// Heads are being written.
    Initialising,
    /// All heads are there.
    Ready,
}

/// What became of the metadata of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaInit {
    /// It is written; the identity in force, which is the one that was there before.
    Written(Identity),
    /// It has another number of partitions.
    OtherPartitions(u64),
}

/// Writes the metadata of a namespace.
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn meta(
    link: &mut Link,
    namespace: &Namespace,
    state: MetaState,
    parameters: &Parameters,
    tags: &[Tag],
) -> Result<MetaInit, ScriptError> {
    let state = match state {
        MetaState::Initialising => "initialising",
        MetaState::Ready => "ready",
    };
    let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    let mut reply = INIT_META
        .call()
        .key(Keys::meta(namespace))
        .arg(state)
        .arg(parameters.partitions.count())
        .arg(millis(parameters.retention))
        .arg(parameters.identity.as_str())
        .arg(tags.join(" "))
        .run(link)
        .await?;
    match status(&mut reply)? {
        MetaStatus::Written => {
            let text = reply.text("identity")?;
            let damaged = || ScriptError::CorruptPartition(format!("meta: identity {text:?}"));
            Ok(MetaInit::Written(Identity::parse(&text).ok_or_else(damaged)?))
        }
        MetaStatus::OtherPartitions => Ok(MetaInit::OtherPartitions(reply.number("partitions")?)),
    }
}

/// What became of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadInit {
    /// It is new.
    Created,
    /// It was there; it has the retention now.
    Changed,
    /// It is the head of another partition or namespace, or of another format: what differs.
    OtherParameters(String),
    /// There is history but no head: data was lost.
    CorruptState,
}

/// Creates the head of `partition`, or changes its retention.
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn head(
    link: &mut Link,
    keys: &Keys,
    partition: Partition,
    parameters: &Parameters,
) -> Result<HeadInit, ScriptError> {
    let mut reply = INIT_HEAD
        .call()
        .key(keys.head())
        .key(keys.journal())
        .key(keys.resources())
        .key(keys.parked())
        .key(keys.receipts(Bucket::Kept))
        .arg(partition.number())
        .arg(parameters.partitions.count())
        .arg(millis(parameters.retention))
        .arg(parameters.identity.as_str())
        .run(link)
        .await?;
    match status(&mut reply)? {
        HeadStatus::Created => Ok(HeadInit::Created),
        HeadStatus::Changed => Ok(HeadInit::Changed),
        HeadStatus::OtherParameters => Ok(HeadInit::OtherParameters(reply.text("detail")?)),
        HeadStatus::CorruptState => Ok(HeadInit::CorruptState),
    }
}
