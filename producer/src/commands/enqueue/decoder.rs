//! The thread that reads, decodes and packs a file while the command sends what was read before.
//!
//! Hands over in the order of the file. Ids are on their file before their lines are handed over, so whatever
//! was sent can be looked up; lines that are no job are on theirs. Must not hold more than one chunk.

use std::fs::File;
use std::io::{self, BufRead, BufWriter, Write};
use std::path::PathBuf;

use tokio::sync::mpsc;
use tollgate::Tollgate;
use tollgate::fingerprint::Fingerprint;
use tollgate::job::Job;

use super::CHUNK;
use super::outcomes::{REMEMBERED_MAX, SentJob, SentJobs};
use super::rejected::Rejected;
use crate::lines::{self, Line, Lines};
use crate::progress::Progress;
use crate::run::RunId;
use crate::sender::{Chunk, Work};

/// What is handed over.
pub(super) enum Read {
    /// Work to send, and those of its jobs that are to be looked up afterwards.
    Chunk(Chunk, SentJobs),
    /// So many lines were wrong; each has been told, and is kept in this file.
    Invalid(u64, Option<PathBuf>),
    /// The file cannot be read on, or the ids cannot be written.
    Broken(io::Error),
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
}

/// Reads lines and gathers their work.
pub(super) struct Decoder {
    tollgate: Tollgate,
    options: Options,
    progress: Progress,
    to: mpsc::Sender<Read>,
    gathered: Option<Chunk>,
    sent: SentJobs,
    looked_up: usize,
    invalid: u64,
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
            invalid: 0,
        }
    }

    /// Reads to the end, or until the command has gone.
    pub(super) fn read(mut self, reader: impl BufRead) {
        let read = self.read_lines(reader);
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
        while let Some((number, line)) = lines.next()? {
            let read = if line.iter().all(u8::is_ascii_whitespace) {
                None
            } else {
                match lines::work(line, number, &self.options.run) {
                    Ok(line) => Some(line),
                    Err(error) => {
                        self.progress.say(format_args!("line {number}: {error}"));
                        self.invalid += 1;
                        self.reject(line);
                        None
                    }
                }
            };
            if let Some(ids_out) = &mut self.options.ids_out {
                writeln!(ids_out, "{}", read.as_ref().map_or("", |line| line.work.id().as_str()))?;
            }
            if let Some(line) = read {
                self.gather(number, line)?;
            }
        }
        Ok(())
    }

    /// Keeps a line that is no job. That it cannot be kept is no reason to send less: it was told with its number.
    fn reject(&mut self, line: &[u8]) {
        if let Some(rejected) = &mut self.options.rejected
            && let Err(error) = rejected.add(line)
        {
            self.progress
                .say(format_args!("warning: rejected lines cannot be written to their file: {error}"));
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
            self.progress
                .say(format_args!("warning: rejected lines cannot be written to their file: {error}"));
            self.options.rejected = None;
        }
        let sent = std::mem::take(&mut self.sent);
        let invalid = std::mem::take(&mut self.invalid);
        let kept_in = || self.options.rejected.as_ref().and_then(Rejected::path);
        let invalid = (invalid > 0).then(|| Read::Invalid(invalid, kept_in()));
        let chunk = self.gathered.take().map(|chunk| Read::Chunk(chunk, sent));
        for read in chunk.into_iter().chain(invalid) {
            self.to.blocking_send(read).map_err(|_| End::Gone)?;
        }
        Ok(())
    }
}
