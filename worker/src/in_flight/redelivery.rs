//! What is done with a row that was delivered again, by how often. Deliveries raise suspicion, no more: slow workers lose
//! rows, too.
//!
//! Two workers had it before: then each of its entries goes alone, with the whole process to itself, so that if the process
//! dies it was this job. Five had it: it was alone with three of them. (`recover.lua` gives a suspect only to who is alone.)

use crate::slots::Share;

/// From this many deliveries before this one, a job goes alone.
const ALONE_FROM: u64 = 2;
/// From this many on, it is given up.
const LOST_FROM: u64 = 5;

/// What to do with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redelivery {
    /// Settle it with others.
    None,
    /// Settle it alone.
    Alone,
    /// Move it to dead as `worker_lost`.
    Lost,
}

impl Redelivery {
    /// By the number of workers that had it before us.
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
        let all: Vec<_> = (0..7).map(Redelivery::of).collect();
        use Redelivery::{Alone, Lost, None};
        assert_eq!(all, [None, None, Alone, Alone, Alone, Lost, Lost]);
    }
}
