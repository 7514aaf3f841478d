//! Somebody's word on a case.

use super::shape::kind;
use crate::protocol::ids::{Actor, CaseId, CaseOption};
use crate::protocol::quantity::Version;
use crate::protocol::reason::Reason;

kind! {
    /// Decides a case, once: the first decision stands.
    Decide {
        /// Which case.
        case: CaseId,
        /// One of its options.
        decision: CaseOption,
        /// Who decides.
        by: Actor,
        /// Only if it has this version: the one that was read.
        expect_version: Option<Version>,
        /// Why.
        reason: Option<Reason>,
    }
    after "version"; rarely "decided_seq"
}
