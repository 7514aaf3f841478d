//! Each partition by itself: what is damaged in one keeps nobody from seeing and changing the others.
//!
//! A failure that is of one partition is said on stderr with its number and makes the exit code what it means by itself
//! (1 for damage, 3 or 4 where the node of a cluster is away); one of Redis as a whole, or of ours, ends the command as it
//! always did.

use std::error::Error;
use std::ops::ControlFlow;
use std::pin::pin;

use futures_util::StreamExt;
use tollgate::failure::Failure;
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;
use tollgate::{Tollgate, abreast};
use tollgate_cli::hints;

use crate::exit::Exit;
use crate::output::complain;

/// What failed, and where.
#[derive(Debug, Default)]
pub(crate) struct Failed(Vec<(Partition, anyhow::Error)>);

impl Failed {
    /// Notes what came of one partition.
    ///
    /// # Errors
    /// What is not of that partition.
    pub(crate) fn note(&mut self, partition: Partition, result: anyhow::Result<()>) -> anyhow::Result<()> {
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.chain().any(is_of_partition) => {
                self.0.push((partition, error));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether every partition did well.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says what failed.
    pub(crate) fn complain(&self) -> Exit {
        for (partition, error) in &self.0 {
            let hint = error.chain().find_map(hints::of).map(|hint| format!("; {hint}")).unwrap_or_default();
            complain(format_args!("partition {partition}: {error:#}{hint}"));
        }
        self.0.iter().map(|(_, error)| Exit::of_partition(error)).fold(Exit::Done, Exit::combine)
    }
}

/// Does `first` in every partition, in several at a time, and `then` with what came of it in one after the other, in their
/// order, until it has seen enough; says what failed. So whatever begins with a read does that in `first`: a node that does
/// not answer is waited for once, while the others are read.
///
/// # Errors
/// What is not of one partition.
pub(crate) async fn each_partition<T>(
    tollgate: &Tollgate,
    first: impl AsyncFn(Partition, &Keys, &mut Link) -> anyhow::Result<T>,
    mut then: impl AsyncFnMut(Partition, &mut Link, T) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<Exit> {
    let mut failed = Failed::default();
    let mut begun = pin!(abreast(tollgate.partitions().iter(), |partition| {
        let first = &first;
        async move {
            let mut link = tollgate.server().link().await?;
            let value = first(partition, tollgate.keys(partition), &mut link).await?;
            Ok((link, value))
        }
    }));
    while let Some((partition, begun)) = begun.next().await {
        let ended = match begun {
            Err(error) => Err(error),
            Ok((mut link, value)) => then(partition, &mut link, value).await,
        };
        let mut is_over = false;
        failed.note(partition, ended.map(|flow| is_over = flow.is_break()))?;
        if is_over {
            break;
        }
    }
    Ok(failed.complain())
}

/// Does `visit` in every partition, in several at a time; answers what came of each, in their order, and what failed.
///
/// # Errors
/// What is not of one partition.
pub(crate) async fn in_each<T>(
    tollgate: &Tollgate,
    visit: impl AsyncFn(Partition, &Keys, &mut Link) -> anyhow::Result<T>,
) -> anyhow::Result<(Vec<(Partition, T)>, Failed)> {
    let (mut all, mut failed) = (Vec::with_capacity(tollgate.partitions().count().into()), Failed::default());
    let mut visits = pin!(abreast(tollgate.partitions().iter(), |partition| {
        let visit = &visit;
        async move { visit(partition, tollgate.keys(partition), &mut tollgate.server().link().await?).await }
    }));
    while let Some((partition, visited)) = visits.next().await {
        failed.note(partition, visited.map(|value| all.push((partition, value))))?;
    }
    Ok((all, failed))
}

fn is_of_partition(cause: &(dyn Error + 'static)) -> bool {
    match (cause.downcast_ref::<ScriptError>(), cause.downcast_ref::<Failure>()) {
        (Some(error), _) => error.is_of_partition(),
        (None, Some(failure)) => ScriptError::from(failure.clone()).is_of_partition(),
        (None, None) => false,
    }
}
