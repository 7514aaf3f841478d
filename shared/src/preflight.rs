//! What we rely on in a Redis, checked before the first job.

/// The durability asked for (design: memory is what the AOF had written, fsync is on disk).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// A crash may lose what the AOF had not written.
    Memory,
    /// On disk before the answer.
    Fsync,
}
