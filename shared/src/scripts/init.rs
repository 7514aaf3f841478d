//! `init_meta` and `init_head`: bring a namespace into being, in steps that can be repeated.

use std::time::Duration;

use crate::ids::{Bucket, Namespace};
use crate::keys::Keys;
use crate::link::Link;
use crate::partition::{Partition, Partitions};
use crate::script::{millis, parts, script};

use super::{ScriptError, common_status};

script!(INIT_META, "init_meta", [], keys [meta], args [nonce state partitions retention_ms]);

script!(
    INIT_HEAD, "init_head", [parts::NUMBERS],
    keys [head journal resources parked kept],
    args [nonce partition partitions retention_ms]
);

/// The states of a namespace's signpost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaState {
    /// Heads are being written.
    Initialising,
    /// All heads are there.
    Ready,
}

/// Writes the signpost; answers the number of partitions in force if it is another one.
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn meta(
    link: &mut Link,
    namespace: &Namespace,
    state: MetaState,
    partitions: Partitions,
    retention: Duration,
) -> Result<Result<(), u64>, ScriptError> {
    let state = match state {
        MetaState::Initialising => "initialising",
        MetaState::Ready => "ready",
    };
    let mut reply = INIT_META
        .call()
        .key(Keys::meta(namespace))
        .arg(state)
        .arg(partitions.count())
        .arg(millis(retention))
        .run(link)
        .await?;
    match reply.text("status")?.as_str() {
        "written" => Ok(Ok(())),
        "other_partitions" => Ok(Err(reply.number("partitions")?)),
        other => Err(common_status(other, &mut reply)),
    }
}

/// What became of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadInit {
    /// It is new.
    Created,
    /// It was there; it has the retention now.
    Changed,
    /// It is the head of another partition, or of a namespace of another size.
    OtherParameters,
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
    partitions: Partitions,
    retention: Duration,
) -> Result<HeadInit, ScriptError> {
    let mut reply = INIT_HEAD
        .call()
        .key(keys.head())
        .key(keys.journal())
        .key(keys.resources())
        .key(keys.parked())
        .key(keys.receipts(Bucket::Kept))
        .arg(partition.number())
        .arg(partitions.count())
        .arg(millis(retention))
        .run(link)
        .await?;
    match reply.text("status")?.as_str() {
        "created" => Ok(HeadInit::Created),
        "changed" => Ok(HeadInit::Changed),
        "other_parameters" => Ok(HeadInit::OtherParameters),
        "corrupt_state" => Ok(HeadInit::CorruptState),
        other => Err(common_status(other, &mut reply)),
    }
}
