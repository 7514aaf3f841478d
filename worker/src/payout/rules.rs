//! How a gateway may be used, as its operator says.

use std::time::Duration;

use tollgate::scripts::payout::Retry;

/// How a gateway may be used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How long an attempt may take, from its begin in Redis to the end of its request.
    pub(crate) lease: Duration,
    /// What its keys allow after an unknown attempt.
    pub(crate) retry: Retry,
    /// For how long it honours a key.
    pub(crate) key_window: Duration,
    /// The pause after the lease of the first attempt; doubled for each that follows.
    pub(crate) backoff: Duration,
    /// How long nothing is paid when the gateway turns us away or cannot be reached.
    pub(crate) pauses: Pauses,
}

/// How long payouts are paused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pauses {
    /// After an answer that says that our address or credentials are wrong.
    pub(crate) refused: Duration,
    /// After the first connection that did not come about; doubled for each that follows, up to `refused`.
    pub(crate) unreachable: Duration,
}
