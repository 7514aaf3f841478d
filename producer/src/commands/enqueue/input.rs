//! What `enqueue` reads, and the run that it belongs to.
//!
//! A regular file is read twice: once for its digest, before anything is sent, then for its lines. Whatever can
//! be read only once (standard input, a pipe, a device) may keep a [`RunLog`]. Both ways every byte is checked
//! against what the run is of before a line of it is used ([`Checked`]), so ids by line number never meet other
//! lines: not if another file is named, not if the file changes while it is read.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use tollgate::input::InputError;

use super::checked::{After, BLOCK_BYTES, Checked};
use super::mark::Mark;
use super::run_log::RunLog;
use crate::arguments::wrong;
use crate::run::{FileDigest, RunId};

/// How long a line waits for others before it is sent: who writes into a pipe sees its jobs arrive.
pub(super) const GATHER: Duration = Duration::from_millis(100);

/// A reader that answers `WouldBlock` where nothing comes for a while, so that what was read before is sent.
struct Timely(File);

impl Read for Timely {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let within = Timespec::try_from(GATHER).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&within)) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            // What cannot be polled (a device) is read as it is.
            Ok(_) | Err(Errno::INVAL | Errno::PERM) => self.0.read(to),
            Err(error) => Err(error.into()),
        }
    }
}

/// The input, opened.
pub(super) struct Input {
    pub(super) run: RunId,
    pub(super) reader: Checked,
    /// Where lines that are no job go unless told otherwise.
    pub(super) rejected: Option<PathBuf>,
    pub(super) repeated_by: RepeatedBy,
}

/// How a run that was broken off is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RepeatedBy {
    /// The same file.
    File,
    /// The same bytes on standard input, and the same log.
    Log,
    /// It is not: the input is gone and nothing tells whether another one is the same.
    Nothing,
}

/// Opens the input, and finds out which run this is, before anything is sent.
pub(super) fn open(path: &Path, run: Option<RunId>, log: Option<&Path>) -> Result<Input, InputError> {
    let unreadable = |error: io::Error| {
        wrong("FILE", &path.display().to_string(), &format!("a readable file or - ({error})"))
    };
    if path == Path::new("-") {
        // Not the reader of the standard library: what that holds back could not be seen to be there.
        let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?;
        return stream(Box::new(Timely(File::from(stdin))), run, log);
    }
    let file = File::open(path).map_err(unreadable)?;
    let kind = file.metadata().map_err(unreadable)?.file_type();
    if kind.is_dir() {
        // It opens but cannot be read: that is told here, before anything is sent.
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    if !kind.is_file() {
        return stream(Box::new(Timely(file)), run, log);
    }
    if let Some(log) = log {
        let allowed = "left out: a file is recognised by its SHA-256";
        return Err(wrong("--run-log", &log.display().to_string(), allowed));
    }
    regular(path, file, run).map_err(|error| error.into_input_error(unreadable))
}

enum OpenError {
    Io(io::Error),
    Input(InputError),
}

impl OpenError {
    fn into_input_error(self, of_io: impl FnOnce(io::Error) -> InputError) -> InputError {
        match self {
            Self::Io(error) => of_io(error),
            Self::Input(error) => error,
        }
    }
}

fn regular(path: &Path, mut file: File, run: Option<RunId>) -> Result<Input, OpenError> {
    let (digest, marks) = digest_of(&mut file).map_err(OpenError::Io)?;
    let run = match run {
        None => RunId::fresh(Some(digest)),
        Some(run) if run.digest() == Some(&digest) => run,
        Some(run) => {
            let what = match run.digest() {
                Some(_) => "the run of this very file",
                None => "a run of this file, and not one of standard input",
            };
            let allowed =
                format!("{what}, whose SHA-256 begins with {digest}; without --run it is a run of its own");
            return Err(OpenError::Input(wrong("--run", &run.to_string(), &allowed)));
        }
    };
    file.rewind().map_err(OpenError::Io)?;
    let mut rejected = path.as_os_str().to_owned();
    rejected.push(".rejected");
    Ok(Input {
        run,
        reader: Checked::new(Box::new(file), marks, After::End),
        rejected: Some(rejected.into()),
        repeated_by: RepeatedBy::File,
    })
}

/// The digest of the whole file, and of its beginning up to the end of each block.
fn digest_of(file: &mut File) -> io::Result<(FileDigest, Vec<Mark>)> {
    let mut hash = Sha256::new();
    let mut marks = Vec::new();
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let mut offset = 0;
    loop {
        block.clear();
        file.take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok((FileDigest::of(hash), marks));
        }
        hash.update(&block);
        offset += block.len() as u64;
        marks.push(Mark::new(offset, &hash));
    }
}

fn stream(reader: Box<dyn Read + Send>, run: Option<RunId>, log: Option<&Path>) -> Result<Input, InputError> {
    if let Some(run) = run.as_ref().filter(|run| run.digest().is_some()) {
        return Err(wrong("--run", &run.to_string(), "a run of standard input: this one is of a file"));
    }
    let Some(path) = log else {
        if let Some(run) = run {
            let allowed =
                "given together with --run-log: only its log tells whether standard input is the same";
            return Err(wrong("--run", &run.to_string(), allowed));
        }
        let reader = Checked::new(reader, Vec::new(), After::Anything);
        return Ok(Input {
            run: RunId::fresh(None),
            reader,
            rejected: None,
            repeated_by: RepeatedBy::Nothing,
        });
    };
    let (run, marks, log) = RunLog::open(path, run)?;
    let mut rejected = path.as_os_str().to_owned();
    rejected.push(".rejected");
    Ok(Input {
        run,
        reader: Checked::new(reader, marks, After::Log(log)),
        rejected: Some(rejected.into()),
        repeated_by: RepeatedBy::Log,
    })
}
