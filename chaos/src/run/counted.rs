//! Names under which a run counts what a scenario or a planted bug cannot do without.

/// A lock was stolen.
pub(super) const STOLEN: &str = "locks stolen";
/// A call ran, its reply went nowhere, and its sender was gone by then.
pub(super) const UNHEARD: &str = "sender gone with its reply";
/// An id that was parked was asked for by another request.
pub(super) const OTHER_SENT: &str = "parked id asked for by another";
/// Before a code: how often clients that wait were told it.
pub(super) const TOLD: &str = "told ";
/// Before a kind: how many jobs of it certainly arrived.
pub(super) const SENT: &str = "sent ";
/// How many lines of journals were decided by a master that was cut off, and are gone.
pub(super) const LOST_LINES: &str = "lines lost with a master that was cut off";
/// How often other partitions went on while some had no server.
pub(super) const OTHERS_WENT_ON: &str = "others went on";
