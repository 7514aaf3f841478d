//! `enqueue`: sends a file of jobs, one JSON object a line, of any length in flat memory.
//!
//! One thread reads and decodes, the command sends what it has read; two chunks lie between them. The run is
//! told before the first send, so whatever breaks this off, at any byte, `--run` repeats it without a second
//! effect: the input is recognised ([`input`]), so no line gets the id of another. Relies on [`Sender`] for the
//! order and for waiting.

mod checked;
mod decoder;
mod input;
mod mark;
mod outcomes;
mod rejected;
mod run_log;

use std::fs::File;
use std::io::{self, BufWriter};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc;
use tollgate::envelope::ENVELOPE_BYTES_MAX;
use tollgate::ids::QueueName;
use tollgate::input::InputError;
use tollgate::scripts::ScriptError;

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output::{complain, hint, say, warn};
use crate::progress::Progress;
use crate::run::RunId;
use crate::sender::{Route, Sender, Tally};
use crate::{served, table};
use decoder::{Decoder, LookUp, Read};
use input::{Input, RepeatedBy};
use outcomes::{Counts, Outcomes};
use rejected::Rejected;

/// Chunks that are read ahead while one is on its way.
const CHUNKS_AHEAD: usize = 2;

/// How long the reader may take to end once the command was told to stop. It may hang in a device.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file, or - for stdin
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Repeats this run of the same file: lines without an id get the same ids again
    #[arg(long, value_name = "RUN", value_parser = RunId::parse)]
    run: Option<RunId>,
    /// For standard input or a pipe: notes what was read, so that the run can be repeated with --run
    #[arg(long, value_name = "FILE")]
    run_log: Option<PathBuf>,
    /// Where lines that are not jobs are kept [default: FILE.rejected; for a pipe, beside its --run-log]
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    /// Writes the id of every line to this file; the line stays empty where there is none
    #[arg(long, value_name = "FILE")]
    ids_out: Option<PathBuf>,
    /// The queue
    #[arg(long, value_name = "NAME", default_value = tollgate::ids::DEFAULT_QUEUE)]
    queue: QueueName,
    /// How long to wait for a full, failing or absent Redis, at the start too, before what is left is reported
    #[arg(long, value_name = "TIME", default_value = "30s", allow_hyphen_values = true, value_parser = arguments::duration)]
    overload_wait: Duration,
    /// Most jobs that may wait in the queue [default: no bound]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = arguments::count)]
    queue_max: Option<u64>,
    /// Wait until every job is decided and count the outcomes; give up if none comes for this long [default of a
    /// bare --wait-all: 30s]
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "30s", value_parser = arguments::duration)]
    wait_all: Option<Duration>,
}

/// The end of a run, as `--json` tells it.
#[derive(Serialize)]
struct Summary<'a> {
    run: String,
    #[serde(flatten)]
    tally: &'a Tally,
    /// Why the rest was not sent; null if all was.
    stopped: Option<&'static str>,
    /// Jobs under an id that is known to be of another request.
    mismatched: u64,
    /// The file that holds the lines that are no job.
    rejected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcomes: Option<Counts>,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let opened = input::open(&args.file, args.run, args.run_log.as_deref())?;
    let Input { run, reader, repeated_by, .. } = opened;
    let rejected = args.rejected.or(opened.rejected);
    if let Some(path) = rejected.as_deref() {
        other_than_the_input("--rejected", path, &args.file)?;
    }
    let ids_out = args.ids_out.as_deref().map(|path| create(path, &args.file)).transpose()?;
    let tollgate = context.open_or_init_within(args.overload_wait).await?;
    let interrupt = Interrupt::listen()?;
    let progress = Progress::of(None);
    served::warn(&tollgate, &args.queue).await;
    let route = Route { queue: args.queue, queue_max: args.queue_max, wait_max: args.overload_wait };
    let mut sender = Sender::new(&tollgate, route, interrupt.clone(), progress.clone()).await?;
    let mut outcomes = Outcomes::new(&tollgate, args.wait_all, interrupt.clone(), progress.clone());

    say(format_args!("run {run}"));
    if repeated_by == RepeatedBy::Nothing {
        warn("without --run-log this run cannot be repeated: standard input is read once");
    }
    let begun = Instant::now();
    let (chunks, mut read) = mpsc::channel(CHUNKS_AHEAD);
    let options = decoder::Options {
        run: run.clone(),
        ids_out,
        rejected: rejected.map(Rejected::new),
        look_up: if args.wait_all.is_some() { LookUp::All } else { LookUp::OwnIds },
        interrupt: interrupt.clone(),
    };
    let decoder = Decoder::new(tollgate.clone(), options, progress.clone(), chunks);
    // A thread that nobody waits for: it may hang in a read of stdin when the command is told to stop.
    std::thread::spawn(move || decoder.read(reader));
    let mut received = receive(&mut read, &mut sender, &mut outcomes, interrupt).await;
    let elapsed = begun.elapsed();
    look_at_the_end(&mut sender, &mut outcomes, &mut received).await;
    progress.end();

    let tally = sender.tally();
    let stopped = tally.stopped().map(|why| why.code()).or(received.broken.as_ref().map(|_| "input"));
    let summary = Summary {
        run: run.to_string(),
        tally,
        stopped,
        mismatched: outcomes.mismatched(),
        rejected: received.rejected.as_ref().map(|path| path.display().to_string()),
        outcomes: outcomes.counts(),
    };
    let told = context.output().answer(&summary, text(&summary, elapsed));
    explain(&summary, &received, repeated_by, args.run_log.as_deref());
    let broken = if received.broken.is_some() { Exit::Refused } else { Exit::Done };
    Ok(tally.exit().combine(outcomes.exit()).combine(received.unknown).combine(broken).combine(told))
}

fn text(summary: &Summary<'_>, elapsed: Duration) -> String {
    let (tally, seconds) = (summary.tally, elapsed.as_secs_f64());
    let mut text = format!("run {}: {tally}", summary.run);
    if summary.mismatched > 0 {
        text += &format!(", {} under ids of other requests", summary.mismatched);
    }
    text += &format!("\n  in {seconds:.1} s, {} a second", table::rate(tally.accepted, elapsed));
    summary.outcomes.iter().for_each(|outcomes| text += &format!("\n  {outcomes}"));
    text
}

/// Says why it stopped, and what to do now.
fn explain(summary: &Summary<'_>, received: &Received, repeated_by: RepeatedBy, log: Option<&Path>) {
    let Summary { run, tally, .. } = summary;
    if let Some(why) = tally.stopped() {
        let at = tally.stopped_at().map(|number| format!("line {number}: ")).unwrap_or_default();
        complain(format_args!("stopped: {at}{why}"));
        why.hint().into_iter().for_each(hint);
    }
    received.broken.iter().for_each(|error| complain(format_args!("{error}")));
    if let Some(path) = &summary.rejected {
        let cut = match received.has_cut {
            true => format!(
                "; of those over {ENVELOPE_BYTES_MAX} bytes only the beginning is there: look at the input"
            ),
            false => String::new(),
        };
        hint(format_args!(
            "the lines that are no job are in {path}: repair them there and send that file{cut}"
        ));
    }
    if summary.stopped.is_none() && tally.not_applied + tally.unknown == 0 {
        return;
    }
    match (repeated_by, log) {
        (RepeatedBy::File, _) => {
            hint(format_args!(
                "repeat the same file with `--run {run}`: what has arrived has no second effect"
            ));
        }
        (RepeatedBy::Log, Some(log)) => hint(format_args!(
            "repeat the same input with `--run {run} --run-log {}`: what has arrived has no second effect",
            log.display()
        )),
        _ => hint(
            "lines with an id of their own can be sent again; for the others `--ids-out` and `lookup` tell",
        ),
    }
}

/// What came of reading, apart from what was sent.
#[derive(Default)]
struct Received {
    /// What broke the reading.
    broken: Option<io::Error>,
    rejected: Option<PathBuf>,
    /// Whether that file has lines of which it keeps only the beginning.
    has_cut: bool,
    is_unread: bool,
    /// Whether outcomes were waited for and could not be read.
    unknown: Exit,
}

/// Sends what is read until the end, or until the command is told to stop.
async fn receive(
    read: &mut mpsc::Receiver<Read>,
    sender: &mut Sender<'_>,
    outcomes: &mut Outcomes<'_>,
    mut interrupt: Interrupt,
) -> Received {
    let mut received = Received::default();
    let mut ends_at: Option<tokio::time::Instant> = None;
    loop {
        let next = match ends_at {
            None => tokio::select! {
                next = read.recv() => next,
                () = interrupt.told() => {
                    // What was read is counted, though not sent: the reader hands it over and ends.
                    sender.interrupted();
                    ends_at = Some(tokio::time::Instant::now() + LAST_WORDS);
                    continue;
                }
            },
            Some(ends_at) => tokio::time::timeout_at(ends_at, read.recv()).await.unwrap_or_default(),
        };
        match next {
            Some(Read::Chunk(chunk, sent)) => {
                sender.send(chunk).await;
                if received.is_unread {
                    continue;
                }
                if let Err(error) = outcomes.add(sender.link(), sent).await {
                    received.unread(&error, outcomes.waits());
                }
            }
            Some(Read::Invalid(invalid)) => {
                sender.add_invalid(invalid.count);
                received.rejected = invalid.rejected.or(received.rejected);
                received.has_cut = invalid.has_cut;
            }
            Some(Read::Broken(error)) => {
                received.broken = Some(error);
                return received;
            }
            None => {
                if interrupt.is_set() {
                    sender.interrupted();
                }
                return received;
            }
        }
    }
}

impl Received {
    /// Notes that outcomes could not be read. Who waits for them does not know them; everybody else has lost a
    /// courtesy, which a user who may only send never had.
    fn unread(&mut self, error: &ScriptError, waits: bool) {
        let is_denied = matches!(error, ScriptError::Failure(failure) if failure.is_denied());
        self.is_unread = true;
        if waits {
            self.unknown = Exit::Undecided;
        }
        if waits || !is_denied {
            warn(format_args!("the outcomes of the jobs cannot be read: {error}"));
        }
    }
}

/// Looks at what is still remembered, unless sending ended in a way that leaves nobody to ask or to tell.
async fn look_at_the_end(sender: &mut Sender<'_>, outcomes: &mut Outcomes<'_>, received: &mut Received) {
    if sender.tally().stopped().is_some() || received.is_unread {
        return outcomes.leave(sender.tally().accepted);
    }
    if let Err(error) = outcomes.end(sender.link()).await {
        received.unread(&error, outcomes.waits());
        outcomes.leave(sender.tally().accepted);
    }
    match outcomes.passed_over() {
        0 => {}
        count => hint(format_args!("{count} ids more were not looked up: `--wait-all` looks at every one")),
    }
}

/// A file to be written, emptied; but never the file that is read.
fn create(path: &Path, input: &Path) -> Result<BufWriter<File>, InputError> {
    other_than_the_input("--ids-out", path, input)?;
    File::create(path).map(BufWriter::new).map_err(|error| {
        arguments::wrong(
            "--ids-out",
            &path.display().to_string(),
            &format!("a file that can be written ({error})"),
        )
    })
}

fn other_than_the_input(flag: &str, path: &Path, input: &Path) -> Result<(), InputError> {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    if identity(path).is_some_and(|ours| identity(input) == Some(ours)) {
        return Err(arguments::wrong(
            flag,
            &path.display().to_string(),
            "another file than the one that is read",
        ));
    }
    Ok(())
}
