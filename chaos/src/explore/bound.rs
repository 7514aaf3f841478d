//! How much may go wrong in one order.

use std::fmt;

/// What is left, or what a step costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(super) struct Bound {
    /// Processes that die.
    pub(super) deaths: u8,
    /// Calls whose reply is lost, that do not run, or that run later.
    pub(super) faults: u8,
    /// Times at which Redis forgets its scripts.
    pub(super) flushes: u8,
    /// Switches to another process although the one that ran last could go on.
    pub(super) preemptions: u8,
    /// Claims of entries whose holder lives. What a dead process held may be taken over at any moment.
    pub(super) takeovers: u8,
    /// Looks for payouts that are due.
    pub(super) looks: u8,
    /// Steps of the server's clock.
    pub(super) ticks: u8,
    /// All of these together, but for the looks, at which nothing goes wrong.
    pub(super) all: u8,
}

impl Bound {
    fn parts(self) -> [u8; 8] {
        let Self { deaths, faults, flushes, preemptions, takeovers, looks, ticks, all } = self;
        [deaths, faults, flushes, preemptions, takeovers, looks, ticks, all]
    }

    /// With the sum of its parts.
    pub(super) fn summed(self) -> Self {
        let parts = Self { all: 0, looks: 0, ..self }.parts();
        Self { all: parts.iter().sum(), ..self }
    }

    /// Whether nothing of `other` is more.
    pub(super) fn covers(self, other: Self) -> bool {
        self.parts().iter().zip(other.parts()).all(|(ours, theirs)| *ours >= theirs)
    }

    /// What is left after a step of this cost; `None` if it costs more than there is.
    pub(super) fn after(self, cost: Self) -> Option<Self> {
        self.covers(cost).then(|| Self {
            deaths: self.deaths - cost.deaths,
            faults: self.faults - cost.faults,
            flushes: self.flushes - cost.flushes,
            preemptions: self.preemptions - cost.preemptions,
            takeovers: self.takeovers - cost.takeovers,
            looks: self.looks - cost.looks,
            ticks: self.ticks - cost.ticks,
            all: self.all - cost.all,
        })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deaths, faults, flushes, preemptions, takeovers, looks, ticks, all } = *self;
        let kinds = [
            (deaths, "death"),
            (
                faults,
                "call lost, left out or late by any number of steps, or loss of all connections of a process",
            ),
            (flushes, "loss of the scripts"),
            (preemptions, "switch away from who could go on"),
            (takeovers, "claim from a living worker"),
            (ticks, "step of the clock"),
        ];
        let kinds: Vec<String> = kinds
            .iter()
            .filter(|(most, _)| *most > 0)
            .map(|(most, what)| format!("{what}: {most}"))
            .collect();
        write!(f, "at most {all} together of: {}", kinds.join("; "))?;
        if looks > 0 {
            write!(
                f,
                "; looks for due payouts: {looks}, not counted; locks of accounts are granted to everybody"
            )?;
        }
        Ok(())
    }
}
