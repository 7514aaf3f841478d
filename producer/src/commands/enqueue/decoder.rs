//! The thread that reads, decodes and packs a file while the command sends what was read before.
//!
//! Hands over in the order of the file. Ids are on their file before their lines are handed over, so whatever
//! was sent can be looked up. Must not hold more than one chunk.

use std::fs::File;
use std::io::{self, BufRead, BufWriter, Write};

use tokio::sync::mpsc;
use tollgate::Tollgate;

use super::CHUNK;
use crate::lines::{self, Lines};
use crate::progress::Progress;
use crate::run::RunId;
use crate::sender::{Chunk, Work};

/// What is handed over.
pub(super) enum Read {
    Chunk(Chunk),
    /// So many lines were wrong; each has been told.
    Invalid(u64),
    /// The file cannot be read on, or the ids cannot be written.
    Broken(io::Error),
}

/// Reads lines and gathers their work.
pub(super) struct Decoder {
    tollgate: Tollgate,
    run: RunId,
    ids_out: Option<BufWriter<File>>,
    progress: Progress,
    to: mpsc::Sender<Read>,
    gathered: Option<Chunk>,
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
        run: RunId,
        ids_out: Option<BufWriter<File>>,
        progress: Progress,
        to: mpsc::Sender<Read>,
    ) -> Self {
        Self { tollgate, run, ids_out, progress, to, gathered: None, invalid: 0 }
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
            let work = if line.iter().all(u8::is_ascii_whitespace) {
                None
            } else {
                match lines::work(line, number, &self.run) {
                    Ok(work) => Some(work),
                    Err(error) => {
                        self.progress.say(format_args!("line {number}: {error}"));
                        self.invalid += 1;
                        None
                    }
                }
            };
            if let Some(ids_out) = &mut self.ids_out {
                writeln!(ids_out, "{}", work.as_ref().map_or("", |work| work.id().as_str()))?;
            }
            if let Some(work) = work {
                self.gather(number, work)?;
            }
        }
        Ok(())
    }

    /// Adds to the chunk; work of the other kind, or a full chunk, begins the next one.
    fn gather(&mut self, number: u64, work: Work) -> Result<(), End> {
        match (&mut self.gathered, work) {
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
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), End> {
        if let Some(ids_out) = &mut self.ids_out {
            ids_out.flush()?;
        }
        let invalid = std::mem::take(&mut self.invalid);
        let invalid = (invalid > 0).then_some(Read::Invalid(invalid));
        for read in self.gathered.take().map(Read::Chunk).into_iter().chain(invalid) {
            self.to.blocking_send(read).map_err(|_| End::Gone)?;
        }
        Ok(())
    }
}
