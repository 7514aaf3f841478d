//! The journal of one partition, read line by line for whoever looks for something in it.
//!
//! The whole of it is read, in pages: there is no index by id. Reading only.

use std::ops::ControlFlow;

use anyhow::bail;
use tollgate::Tollgate;
use tollgate::journal::{self, Entry, JournalDamage, Line};
use tollgate::link::Link;
use tollgate::partition::Partition;

/// Entries of one read; each holds up to a thousand lines.
const PAGE: usize = 50;

/// What is looked at: each line with its entry, or an entry that has none (a repair's note).
pub(crate) struct Seen<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) line: Option<&'a Line>,
}

/// Shows `look` every line, in order, until it has seen enough.
///
/// # Errors
/// [`JournalDamage`] too where it ends before the head, which was read first, says so: what is gone would be taken for
/// what never was.
pub(crate) async fn each(
    tollgate: &Tollgate,
    link: &mut Link,
    partition: Partition,
    mut look: impl FnMut(Seen<'_>) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<()> {
    let (head, _) = tollgate.lookup_in(link, partition, &[]).await?;
    let (mut after, mut seq): (Option<String>, u64) = (None, 0);
    loop {
        let page = journal::page(link, tollgate.keys(partition), after.as_deref(), PAGE).await?;
        if page.is_empty() && seq < head {
            bail!(JournalDamage::ends_early(head, seq));
        }
        if page.is_empty() {
            return Ok(());
        }
        for entry in page {
            let entry = match entry {
                Ok(entry) => entry,
                Err(damage) => bail!(damage),
            };
            (after, seq) = (Some(entry.stream_id()), entry.seq_last);
            let lines = entry.lines()?;
            if lines.is_empty() && look(Seen { entry: &entry, line: None })?.is_break() {
                return Ok(());
            }
            for line in &lines {
                if look(Seen { entry: &entry, line: Some(line) })?.is_break() {
                    return Ok(());
                }
            }
        }
    }
}
