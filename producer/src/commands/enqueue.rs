//! `enqueue`: sends a file of jobs, one JSON object a line, of any length in flat memory.
//!
//! One thread reads and decodes, the command sends what it has read; two chunks lie between them. The run is
//! told before the first send, so whatever breaks this off, at any byte, `--run` repeats it without a second
//! effect. Relies on [`Sender`] for the order and for waiting.

mod decoder;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc;
use tollgate::code::Code;
use tollgate::ids::QueueName;
use tollgate::input::InputError;

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output::{hint, say};
use crate::progress::Progress;
use crate::run::RunId;
use crate::sender::{Route, Sender, Tally};
use decoder::{Decoder, Read};

/// Jobs in one pipeline. Larger ones cost memory and gain nothing: the round trip is already a percent.
pub(super) const CHUNK: usize = 1_000;
/// Chunks that are read ahead while one is on its way.
const CHUNKS_AHEAD: usize = 2;
const READ_BYTES: usize = 256 * 1024;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file, or - for stdin
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Repeats the run of this id: lines without an id get the same ids again
    #[arg(long, value_name = "UUID", value_parser = RunId::parse)]
    run: Option<RunId>,
    /// Writes the id of every line to this file; the line stays empty where there is none
    #[arg(long, value_name = "FILE")]
    ids_out: Option<PathBuf>,
    /// The queue
    #[arg(long, value_name = "NAME", default_value = tollgate::ids::DEFAULT_QUEUE)]
    queue: QueueName,
    /// How long to wait for a full, failing or absent Redis before what is left is reported
    #[arg(long, value_name = "TIME", default_value = "30s", allow_hyphen_values = true, value_parser = arguments::duration)]
    overload_wait: Duration,
    /// Most jobs that may wait in the queue [default: no bound]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = arguments::count)]
    queue_max: Option<u64>,
}

/// The end of a run, as `--json` tells it.
#[derive(Serialize)]
struct Summary<'a> {
    run: &'a str,
    #[serde(flatten)]
    tally: &'a Tally,
    /// Why the rest was not sent; null if all was.
    stopped: Option<&'static str>,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let reader = open(&args.file)?;
    let ids_out = args.ids_out.as_deref().map(|path| create(path, &args.file)).transpose()?;
    let tollgate = context.open_or_init().await?;
    let interrupt = Interrupt::listen()?;
    let progress = Progress::of(None);
    let route = Route { queue: args.queue, queue_max: args.queue_max, patience: args.overload_wait };
    let mut sender = Sender::new(&tollgate, route, interrupt.clone(), progress.clone()).await?;

    let run = args.run.unwrap_or_else(RunId::fresh);
    say(format_args!("run {}", run.as_str()));
    let begun = Instant::now();
    let (chunks, mut read) = mpsc::channel(CHUNKS_AHEAD);
    let decoder = Decoder::new(tollgate.clone(), run.clone(), ids_out, progress.clone(), chunks);
    // A thread that nobody waits for: it may hang in a read of stdin when the command is told to stop.
    std::thread::spawn(move || decoder.read(reader));
    let broken = receive(&mut read, &mut sender, interrupt).await;
    progress.end();

    let tally = sender.tally();
    let stopped = tally.stopped().map(|why| why.code()).or(broken.as_ref().map(|_| "input"));
    let mut exit = tally.exit();
    let summary = Summary { run: run.as_str(), tally, stopped };
    context.output().data(&summary, || {
        let (tally, seconds) = (summary.tally, begun.elapsed().as_secs_f64());
        let rate = (tally.accepted as f64 / seconds.max(1e-9)).round();
        format!("run {}: {tally}\n  in {seconds:.1} s, {rate} a second", summary.run)
    })?;
    if let Some(why) = tally.stopped() {
        let at = tally.stopped_at().map(|number| format!("line {number}: ")).unwrap_or_default();
        say(format_args!("stopped: {at}{why}"));
        why.hint().into_iter().for_each(hint);
    }
    if let Some(error) = broken {
        say(format_args!("error: {error}"));
        exit = exit.combine(Exit::Refused);
    }
    if summary.stopped.is_some() || tally.not_applied + tally.unknown > 0 {
        hint(format_args!(
            "repeat the same file with `--run {}`: what has arrived has no second effect",
            run.as_str()
        ));
    }
    Ok(exit)
}

/// Sends what is read until the end, or until the command is told to stop; answers what broke the reading.
async fn receive(
    read: &mut mpsc::Receiver<Read>,
    sender: &mut Sender<'_>,
    mut interrupt: Interrupt,
) -> Option<io::Error> {
    loop {
        let next = tokio::select! {
            next = read.recv() => next,
            () = interrupt.told() => None,
        };
        match next {
            Some(Read::Chunk(chunk)) => sender.send(chunk).await,
            Some(Read::Invalid(count)) => sender.add_invalid(count),
            Some(Read::Broken(error)) => return Some(error),
            None => {
                if interrupt.is_set() {
                    sender.interrupted();
                }
                return None;
            }
        }
    }
}

/// The lines' source. A directory opens but cannot be read: that is told here, before anything is sent.
fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, InputError> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::with_capacity(READ_BYTES, io::stdin())));
    }
    let file = File::open(path).and_then(|file| match file.metadata()?.is_dir() {
        true => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        false => Ok(file),
    });
    match file {
        Ok(file) => Ok(Box::new(BufReader::with_capacity(READ_BYTES, file))),
        Err(error) => Err(wrong_file("FILE", path, &format!("a readable file or - ({error})"))),
    }
}

/// The file for the ids, emptied; but never the file that is read.
fn create(path: &Path, input: &Path) -> Result<BufWriter<File>, InputError> {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    if identity(path).is_some_and(|ours| identity(input) == Some(ours)) {
        return Err(wrong_file("--ids-out", path, "another file than the one that is read"));
    }
    File::create(path)
        .map(BufWriter::new)
        .map_err(|error| wrong_file("--ids-out", path, &format!("a file that can be written ({error})")))
}

fn wrong_file(field: &str, path: &Path, allowed: &str) -> InputError {
    InputError::new(Code::WrongType, field, &path.display().to_string(), allowed)
}
