//! `journal export`: every decision, one JSON object a line, by partition and seq.
//!
//! Streamed: memory is one page of entries, however long the journal is. What is decided after the command began
//! is left to the next one.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::pin::pin;

use anyhow::Context as _;
use futures_util::StreamExt;
use tollgate::journal::{self, ExportLine, JournalDamage};
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;
use tollgate::{Tollgate, abreast};

use crate::context::Context;
use crate::each::Failed;
use crate::exit::Exit;
use crate::output::{complain, hint};

/// Entries of one read; each holds up to a thousand lines.
const PAGE: usize = 50;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Print it, one JSON object a line (with or without --json)
    Export {
        /// Only this partition
        #[arg(long, value_name = "P")]
        partition: Option<u16>,
        /// From this seq on, in each partition
        #[arg(long, value_name = "SEQ", default_value_t = 1)]
        from: u64,
    },
}

/// Why an export ended early.
enum Stop {
    /// Whoever read it has gone: that is fine.
    ReaderGone,
    Damage(JournalDamage),
    Other(anyhow::Error),
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let Verb::Export { partition, from } = args.verb;
    let tollgate = context.open().await?;
    let count = tollgate.partitions().count();
    let partitions: Vec<Partition> = match partition {
        None => tollgate.partitions().iter().collect(),
        Some(number) => match tollgate.partitions().get(number) {
            Some(partition) => vec![partition],
            None => {
                complain(format_args!("--partition {number}: must be a number from 0 to {}", count - 1));
                return Ok(Exit::Usage);
            }
        },
    };
    // The head alone is asked: a damaged queue or receipt must not hide the history. Of several partitions at a time, so
    // that a node that does not answer is waited for once; their lines come one partition after the other.
    let mut heads = pin!(abreast(partitions, |partition| {
        let tollgate = &tollgate;
        async move {
            let mut link = tollgate.server().link().await.map_err(ScriptError::from)?;
            let (head, _) = tollgate.lookup_in(&mut link, partition, &[]).await?;
            Ok::<_, ScriptError>((link, head))
        }
    }));
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let mut failed = Failed::default();
    while let Some((partition, head)) = heads.next().await {
        let ended = match head {
            Ok((mut link, head)) => export(&tollgate, &mut link, partition, from..=head, &mut out).await,
            Err(error) => Err(Stop::Other(error.into())),
        };
        match ended {
            Ok(()) => {}
            Err(Stop::ReaderGone) => return Ok(Exit::Done),
            Err(Stop::Other(error)) => failed.note(partition, Err(error))?,
            Err(Stop::Damage(damage)) => {
                out.flush().or_else(gone_is_fine)?;
                complain(format_args!("partition {partition}: {damage}"));
                hint(
                    "`tollgate-producer audit` says what else is damaged; restore the journal from a backup or a replica",
                );
                failed.complain();
                return Ok(Exit::Violation);
            }
        }
    }
    out.flush().or_else(gone_is_fine)?;
    Ok(failed.complain())
}

async fn export(
    tollgate: &Tollgate,
    link: &mut Link,
    partition: Partition,
    seqs: std::ops::RangeInclusive<u64>,
    out: &mut BufWriter<StdoutLock<'_>>,
) -> Result<(), Stop> {
    let keys = tollgate.keys(partition);
    let mut next = *seqs.start();
    let mut previous = None;
    while next <= *seqs.end() {
        let entries =
            journal::read(link, keys, next, PAGE).await.map_err(|error| Stop::Other(error.into()))?;
        let entries = entries.map_err(Stop::Damage)?;
        if entries.is_empty() {
            return Err(Stop::Damage(JournalDamage::ends_early(*seqs.end(), next - 1)));
        }
        for entry in entries {
            if previous.is_some_and(|last: u64| entry.seq_first() != last + 1) {
                let what = format!("begins at line {}, after line {}", entry.seq_first(), next - 1);
                return Err(Stop::Damage(JournalDamage { entry: format!("{}-0", entry.seq_last), what }));
            }
            for line in entry.lines().map_err(Stop::Damage)?.iter().filter(|line| seqs.contains(&line.seq)) {
                write(out, &ExportLine::of(partition, line)).map_err(|error| match error.kind() {
                    io::ErrorKind::BrokenPipe => Stop::ReaderGone,
                    _ => Stop::Other(error.into()),
                })?;
            }
            previous = Some(entry.seq_last);
            next = entry.seq_last + 1;
        }
    }
    Ok(())
}

fn write(out: &mut impl Write, line: &ExportLine<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn gone_is_fine(error: io::Error) -> anyhow::Result<()> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error).context("stdout"),
    }
}
