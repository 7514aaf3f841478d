//! A case that is not what its readers have read any more.

use super::shape::kind;
use crate::protocol::ids::CaseId;
use crate::protocol::input::InputError;
use crate::protocol::options::Options;
use crate::protocol::quantity::Version;
use crate::protocol::reason::Reason;

kind! {
    /// Gives a case that is not decided a new version: with other options, or because of something outside Tollgate.
    CaseAmend {
        /// Which case.
        case: CaseId,
        /// What it can be decided as from now on; as before, if absent.
        options: Option<Options>,
        /// What has changed.
        reason: Option<Reason>,
        /// Only if it has this version.
        expect_version: Option<Version>,
    }
    after "version"; rarely "decided_seq"
    check |request| match (&request.options, &request.reason) {
        (None, None) => Err(InputError::missing("options or reason")),
        _ => Ok(()),
    }
}
