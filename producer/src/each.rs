//! Each partition by itself: what is damaged in one keeps nobody from seeing and changing the others.
//!
//! A failure that is of one partition is said on stderr with its number and makes the exit code what it means by itself
//! (1 for damage, 3 or 4 where the node of a cluster is away); one of Redis as a whole, or of ours, ends the command as it
//! always did.

use std::error::Error;

use tollgate::Tollgate;
use tollgate::failure::Failure;
use tollgate::keys::Keys;
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;
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

    /// Says what failed.
    pub(crate) fn complain(&self) -> Exit {
        for (partition, error) in &self.0 {
            let hint = error.chain().find_map(hints::of).map(|hint| format!("; {hint}")).unwrap_or_default();
            complain(format_args!("partition {partition}: {error:#}{hint}"));
        }
        self.0.iter().map(|(_, error)| Exit::of_partition(error)).fold(Exit::Done, Exit::combine)
    }
}

/// Does `visit` in every partition and says what failed; the exit code says whether anything did.
///
/// # Errors
/// What is not of one partition.
pub(crate) async fn each_partition(
    tollgate: &Tollgate,
    mut visit: impl AsyncFnMut(Partition, &Keys) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let mut failed = Failed::default();
    for partition in tollgate.partitions().iter() {
        let visited = visit(partition, tollgate.keys(partition)).await;
        failed.note(partition, visited)?;
    }
    Ok(failed.complain())
}

fn is_of_partition(cause: &(dyn Error + 'static)) -> bool {
    match (cause.downcast_ref::<ScriptError>(), cause.downcast_ref::<Failure>()) {
        (Some(error), _) => error.is_of_partition(),
        (None, Some(failure)) => ScriptError::from(failure.clone()).is_of_partition(),
        (None, None) => false,
    }
}
