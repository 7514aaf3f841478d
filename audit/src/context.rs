//! What every step of an audit needs.

use tollgate::Tollgate;
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::partition::Partition;

use super::report::Findings;

/// How far an audit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The partition that is being replayed.
    pub partition: u16,
    /// The last line replayed.
    pub seq: u64,
    /// The head's seq when the replay began.
    pub of: u64,
}

/// One partition while it is audited: what every step needs.
pub(super) struct AuditContext<'a> {
    pub(super) tollgate: &'a Tollgate,
    pub(super) partition: Partition,
    pub(super) keys: &'a Keys,
    pub(super) link: &'a mut Link,
    pub(super) findings: &'a mut Findings,
    pub(super) progress: &'a (dyn Fn(Progress) + Sync),
}
