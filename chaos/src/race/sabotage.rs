//! Bugs to plant in the cures, so that a test can see the judge turn red: a checker that cannot fail is a defect.
//!
//! Only with the feature `sabotage`, which tests turn on and no release has; chosen by the variable with which
//! `tollgate::sabotage` plants its own in the workers.

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    /// Transactions, row locks, versions, fences and single steps do what the naive way does.
    EveryWayIsNaive,
    /// Everybody gets the lock at once.
    LockForAll,
    /// Each send has a key of its own.
    KeyForgotten,
}

impl Bug {
    /// Whether it is planted in this process.
    #[cfg(feature = "sabotage")]
    pub(super) fn is_planted(self) -> bool {
        let name = match self {
            Self::EveryWayIsNaive => "every_way_is_naive",
            Self::LockForAll => "lock_for_all",
            Self::KeyForgotten => "key_forgotten",
        };
        tollgate::env::text(tollgate::env::TOLLGATE_SABOTAGE).is_some_and(|planted| planted == name)
    }

    /// Never: a release has no bugs to plant.
    #[cfg(not(feature = "sabotage"))]
    pub(super) fn is_planted(self) -> bool {
        false
    }
}
