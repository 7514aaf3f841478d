//! The thread that reads, decodes and packs a file while the command sends what was read before.
//!
//! Hands over in the order of the file. Ids are on their file before their lines are handed over, so whatever
//! was sent can be looked up; lines that are no job are on theirs. Must not hold more than one chunk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use tokio::sync::mpsc;
use tollgate::Tollgate;
use tollgate::fingerprint::Fingerprint;
use tollgate::input::InputError;
use tollgate::job::Job;
use tollgate::kinds::Fields;

use super::input::GATHER;
use super::outcomes::{REMEMBERED_MAX, SentJob, SentJobs};
use super::rejected::Rejected;
use crate::interrupt::Interrupt;
use crate::lines::{self, Line, Lines, RawLine};
use crate::progress::Progress;
use crate::run::RunId;
use crate::sender::{Chunk, Work};
use crate::table;

/// What is handed over.
pub(super) enum Read {
    /// Work to send, and those of its jobs that are to be looked up afterwards.
    Chunk(Chunk, SentJobs),
    /// Lines that were wrong; each has been told.
    Invalid(Invalid),
    /// The file cannot be read on, or the ids cannot be written.
    Broken(io::Error),
}

/// Lines that are no job.
pub(super) struct Invalid {
    pub(super) count: u64,
    /// The file that keeps them.
    pub(super) rejected: Option<PathBuf>,
    /// Whether one so far was too long to be kept whole.
    pub(super) has_cut: bool,
}

/// Which jobs are looked up after they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookUp {
    /// Those with an id of their own: one that the run gave is of no other request.
    OwnIds,
    All,
}

/// Where the decoder writes and what it looks for.
pub(super) struct Options {
    pub(super) run: RunId,
    pub(super) ids_out: Option<BufWriter<File>>,
    pub(super) rejected: Option<Rejected>,
    pub(super) look_up: LookUp,
    /// Reading ends when the command is told to stop.
    pub(super) interrupt: Interrupt,
}

/// Jobs in one pipeline. Larger ones cost memory and gain nothing: the round trip is already a percent.
const CHUNK: usize = 1_000;
/// How many lines of one cause are told each by itself.
const TOLD_MAX: u64 = 10;

/// Reads lines and gathers their work.
pub(super) struct Decoder {
    tollgate: Tollgate,
    options: Options,
    progress: Progress,
    to: mpsc::Sender<Read>,
    gathered: Option<Chunk>,
    sent: SentJobs,
    looked_up: usize,
    /// When the first line of the chunk was read.
    gathered_at: Option<Instant>,
    invalid: u64,
    /// Whether a line was too long to be kept whole.
    has_cut: bool,
    /// How many lines were wrong, by their cause.
    causes: BTreeMap<&'static str, u64>,
}

/// Why reading ends before the end.
enum End {
    Broken(io::Error),
    /// The command wants no more.
    Gone,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Decoder {
    pub(super) fn new(
        tollgate: Tollgate,
        options: Options,
        progress: Progress,
        to: mpsc::Sender<Read>,
    ) -> Self {
        Self {
            tollgate,
            options,
            progress,
            to,
            gathered: None,
            sent: SentJobs::default(),
            looked_up: 0,
            gathered_at: None,
            invalid: 0,
            has_cut: false,
            causes: BTreeMap::new(),
        }
    }

    /// Reads to the end, or until the command has gone.
    pub(super) fn read(mut self, reader: impl BufRead) {
        let read = self.read_lines(reader);
        self.say_untold();
        // What was read before the break is sent all the same: a repeated run sends it again.
        let handed_over = match read {
            Err(End::Gone) => return,
            Ok(()) => self.hand_over(),
            Err(End::Broken(error)) => self.hand_over().and(Err(End::Broken(error))),
        };
        if let Err(End::Broken(error)) = handed_over {
            let _ = self.to.blocking_send(Read::Broken(error));
        }
    }

    fn read_lines(&mut self, reader: impl BufRead) -> Result<(), End> {
        let mut lines = Lines::new(reader);
        loop {
            let is_over = self.options.interrupt.is_set();
            let is_time = is_over || self.gathered_at.is_some_and(|at| at.elapsed() >= GATHER);
            if is_time {
                self.hand_over()?;
            }
            if is_over {
                return Ok(());
            }
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.hand_over()?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let read = if !line.is_cut() && line.bytes.iter().all(u8::is_ascii_whitespace) {
                None
            } else {
                match lines::work(line, &self.options.run).and_then(|line| self.checked(line)) {
                    Ok(work) => Some(work),
                    Err(error) => {
                        self.complain(line.number, &error);
                        self.reject(line);
                        None
                    }
                }
            };
            if let Some(ids_out) = &mut self.options.ids_out {
                writeln!(ids_out, "{}", read.as_ref().map_or("", |line| line.work.id().as_str()))?;
            }
            if let Some(read) = read {
                self.gather(line.number, read)?;
            }
        }
    }

    /// What a line cannot say of itself: where its resources lie.
    fn checked(&self, line: Line) -> Result<Line, InputError> {
        match &line.work {
            Work::Job(job) => self.tollgate.check_partitions(&job.request),
            Work::Operation(operation) => self.tollgate.check_partitions(&operation.request),
        }
        .map(|()| line)
    }

    /// Tells what is wrong with a line, unless many of its kind were told.
    fn complain(&mut self, number: u64, error: &InputError) {
        self.invalid += 1;
        self.gathered_at.get_or_insert_with(Instant::now);
        let told = self.causes.entry(error.code.name()).or_default();
        *told += 1;
        if *told <= TOLD_MAX {
            self.progress.complain_of(format_args!("line {number}: {error}"));
        }
    }

    /// Counts what was not told line by line.
    fn say_untold(&self) {
        for (cause, count) in &self.causes {
            if let Some(more @ 1..) = count.checked_sub(TOLD_MAX) {
                self.progress
                    .complain_of(format_args!("and {} more like this ({cause})", table::count(more)));
            }
        }
    }

    /// Keeps a line that is no job. That it cannot be kept is no reason to send less: it was told with its number.
    fn reject(&mut self, line: RawLine<'_>) {
        self.has_cut |= line.is_cut();
        if let Some(rejected) = &mut self.options.rejected
            && let Err(error) = rejected.add(line.bytes)
        {
            self.progress.warn(format_args!("rejected lines cannot be written to their file: {error}"));
            self.options.rejected = None;
        }
    }

    /// Adds to the chunk; work of the other kind, or a full chunk, begins the next one.
    fn gather(&mut self, number: u64, line: Line) -> Result<(), End> {
        let sent = match &line.work {
            Work::Job(job) if line.has_own_id || self.options.look_up == LookUp::All => {
                self.sent_job(number, job)
            }
            _ => None,
        };
        match (&mut self.gathered, line.work) {
            (Some(Chunk::Jobs(jobs)), Work::Job(job)) if jobs.len() < CHUNK => {
                jobs.push((number, self.tollgate.pack(&job)));
            }
            (Some(Chunk::Operations(operations)), Work::Operation(operation)) if operations.len() < CHUNK => {
                operations.push((number, operation));
            }
            (_, work) => {
                self.hand_over()?;
                self.gathered = Some(Chunk::of(&self.tollgate, number, work));
                self.gathered_at = Some(Instant::now());
            }
        }
        self.sent.jobs.extend(sent);
        Ok(())
    }

    /// What to look up of a job; only so many are, unless all are waited for.
    fn sent_job(&mut self, number: u64, job: &Job) -> Option<SentJob> {
        if self.options.look_up == LookUp::OwnIds && self.looked_up == REMEMBERED_MAX {
            self.sent.passed_over += 1;
            return None;
        }
        self.looked_up += 1;
        Some(SentJob {
            number,
            partition: self.tollgate.partition_of(job.request.resource()),
            id: job.id.clone(),
            fingerprint: Fingerprint::of(&job.request),
        })
    }

    fn hand_over(&mut self) -> Result<(), End> {
        if let Some(ids_out) = &mut self.options.ids_out {
            ids_out.flush()?;
        }
        if let Some(Err(error)) = self.options.rejected.as_mut().map(Rejected::flush) {
            self.progress.warn(format_args!("rejected lines cannot be written to their file: {error}"));
            self.options.rejected = None;
        }
        self.gathered_at = None;
        let sent = std::mem::take(&mut self.sent);
        let invalid = std::mem::take(&mut self.invalid);
        let rejected = self.options.rejected.as_ref().and_then(Rejected::path);
        let invalid = (invalid > 0).then_some(Invalid { count: invalid, rejected, has_cut: self.has_cut });
        let invalid = invalid.map(Read::Invalid);
        let chunk = self.gathered.take().map(|chunk| Read::Chunk(chunk, sent));
        for read in chunk.into_iter().chain(invalid) {
            self.to.blocking_send(read).map_err(|_| End::Gone)?;
        }
        Ok(())
    }
}
