//! Why a namespace cannot be used.

use crate::connection::failure::Failure;
use crate::protocol::ids::Namespace;
use crate::scripts::ScriptError;
use crate::scripts::init::FORMAT;

/// For messages: the first of some keys, and how many more there are.
fn listed(found: &[String], count: usize) -> String {
    let first = found.join(", ");
    if count > found.len() { format!("{first} and {} more", count - found.len()) } else { first }
}

/// Why a namespace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Redis did not answer as it should.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// A script refused.
    #[error(transparent)]
    Script(ScriptError),
    /// Nobody has initialised it, and it holds nothing.
    #[error("namespace {0} is not initialised")]
    Empty(Namespace),
    /// Its initialisation goes on, or was cut off.
    #[error("namespace {0} is being initialised, or that was cut off")]
    Initialising(Namespace),
    /// It was initialised with another number of partitions, which never changes.
    #[error(
        "the number of partitions of namespace {namespace} is {found}, which cannot be changed to {asked}"
    )]
    OtherPartitions {
        /// The namespace.
        namespace: Namespace,
        /// What it has.
        found: u64,
        /// What was asked.
        asked: u16,
    },
    /// It was written by another release, whose format this one does not read.
    #[error(
        "namespace {namespace} has format {found}, and this release reads format {FORMAT} only; \
         use the release that wrote it, or another namespace"
    )]
    OtherFormat {
        /// The namespace.
        namespace: Namespace,
        /// What it has.
        found: String,
    },
    /// It is not initialised, and yet something of it is there.
    #[error(
        "namespace {namespace} is not initialised, but {count} of its keys are there: {}",
        listed(found, *count)
    )]
    Remains {
        /// The namespace.
        namespace: Namespace,
        /// The first of the keys.
        found: Vec<String>,
        /// How many there are.
        count: usize,
    },
    /// Keys that belong together are not all there.
    #[error("namespace {namespace} is damaged: {what}")]
    Corrupt {
        /// The namespace.
        namespace: Namespace,
        /// What is wrong.
        what: String,
    },
}
