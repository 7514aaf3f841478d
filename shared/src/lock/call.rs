//! The calls to a node about a lock.

/// What is asked of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Take,
    /// The same, for somebody in line.
    TakeInLine,
    Extend,
    Release,
}

impl Call {
    pub(super) fn takes(self) -> bool {
        matches!(self, Self::Take | Self::TakeInLine)
    }
}
