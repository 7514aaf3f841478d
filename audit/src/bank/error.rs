//! Why a gateway's list cannot be compared.

use tollgate::failure::Failure;

/// Why the gateway's list cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Redis did not answer.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The file cannot be read.
    #[error("{0}")]
    File(std::io::Error),
    /// A line of it is no payout.
    #[error("line {line}: {what}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}
