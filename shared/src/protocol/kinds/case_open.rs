//! A case, from nothing.

use super::shape::kind;
use crate::protocol::ids::CaseId;
use crate::protocol::options::Options;

kind! {
    /// Opens a case, which is decided once.
    CaseOpen {
        /// Its name.
        case: CaseId,
        /// What it can be decided as.
        options: Options = Options::default(),
    }
    after "version"
}
