//! Suspicion: what a delivery count says of an entry. It raises suspicion, no more: living workers claim, too.
//!
//! Delivered once before: it goes in a batch. Twice to four times: it goes alone, with the whole process to itself, so
//! that if the process dies it was this job. Five times: it was alone with three workers that died.

use crate::slots::Share;

/// From this many deliveries before this one, a job goes alone.
const ALONE_FROM: u64 = 2;
/// From this many on, it is given up.
const LOST_FROM: u64 = 5;

/// What to do with an entry that was delivered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// Settle it with others.
    None,
    /// Settle it alone.
    Alone,
    /// Move it to dead as `worker_lost`.
    Lost,
}

impl Suspicion {
    /// By the number of deliveries before the one to us.
    pub(crate) fn of(deliveries: u64) -> Self {
        match deliveries {
            LOST_FROM.. => Self::Lost,
            ALONE_FROM.. => Self::Alone,
            _ => Self::None,
        }
    }

    /// How much of the process its batch takes.
    pub(crate) fn share(self) -> Share {
        match self {
            Self::None | Self::Lost => Share::One,
            Self::Alone => Share::Alone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_in_a_batch_then_three_times_alone_then_lost() {
        let all: Vec<_> = (0..7).map(Suspicion::of).collect();
        use Suspicion::{Alone, Lost, None};
        assert_eq!(all, [None, None, Alone, Alone, Alone, Lost, Lost]);
    }
}
