//! What one look at a payout comes to.

use tollgate::code::Code;

/// What one look at a payout came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AttemptEnd {
    /// It ended, or needs a person.
    Recorded(Code),
    /// An attempt was made and proves nothing; it is tried again.
    Unknown,
    /// Nothing to do: it has ended, or another's lease is running.
    NotOurs,
    /// Our address or credentials are wrong: stop paying for a while.
    Misconfigured { note: String },
    /// The gateway cannot be reached, and nothing was sent: likewise.
    NotSent { note: String },
    /// A key of it is damaged: nobody can go on with it.
    Damaged { what: String },
}
