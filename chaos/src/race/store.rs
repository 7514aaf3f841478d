//! What a client can ask of a store: the few steps of which every cure is made.

pub(super) mod postgres;
pub(super) mod redis;
pub(super) mod tollgate;

use futures_util::future::BoxFuture;

use super::cure::Isolation;
use super::scenario::Record;
use super::trace::State;

/// How a read and the write after it belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Not at all.
    Plain,
    /// One transaction.
    Transaction(Isolation),
    /// One transaction, the rows locked by the read.
    RowLock,
    /// The write wants the version that was read.
    Optimistic,
    /// Read and write want this token to be the newest that the records have seen; the read shows it to them.
    Fenced(i64),
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tried<T> {
    Done(T),
    /// Somebody else wrote: nothing is written, the whole may be tried again.
    Overtaken,
    /// The records have seen a newer token: nothing is written.
    Fenced,
}

/// One record to write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) key: &'a str,
    pub(super) seen: State,
    pub(super) next: State,
}

/// What became of a request's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// New: the caller executes the request.
    Ours,
    /// Somebody executes it now.
    Underway,
    /// Executed before; whether it was granted.
    Answered { granted: bool },
}

/// One client's connection to a store of records.
pub(super) trait Records: Send {
    /// Makes these records.
    fn set_up<'a>(&'a mut self, records: &'a [Record]) -> BoxFuture<'a, anyhow::Result<()>>;

    /// Reads records, in order.
    fn read<'a>(
        &'a mut self,
        way: Way,
        keys: &'a [&'a str],
    ) -> BoxFuture<'a, anyhow::Result<Tried<Vec<State>>>>;

    /// Writes what was decided after [`Records::read`] in the same way.
    fn write<'a>(
        &'a mut self,
        way: Way,
        changes: &'a [Change<'a>],
    ) -> BoxFuture<'a, anyhow::Result<Tried<()>>>;

    /// Ends what [`Records::read`] began, without a write.
    fn leave(&mut self, way: Way) -> BoxFuture<'_, anyhow::Result<()>>;

    /// Decides and writes in one step: takes all of it, or nothing and answers false.
    fn take<'a>(&'a mut self, wants: &'a [(&'a str, i64)]) -> BoxFuture<'a, anyhow::Result<Tried<bool>>>;

    /// Claims the key of a request.
    fn claim<'a>(&'a mut self, id: &'a str) -> BoxFuture<'a, anyhow::Result<Claim>>;

    /// Stores the answer under a claimed key.
    fn answer<'a>(&'a mut self, id: &'a str, granted: bool) -> BoxFuture<'a, anyhow::Result<()>>;
}
