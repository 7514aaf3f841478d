//! The log of a run whose input can be read only once: which bytes it has sent or was about to send.
//!
//! Text: `run <UUIDv7>`, then a line `<offset> <digest>` for each block that was read, each on disk before a line
//! of its block is used. A last line without its end was cut off by a crash: nothing of its block was sent.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tollgate::input::InputError;

use super::mark::Mark;
use crate::arguments::wrong;
use crate::run::RunId;

/// The open log, positioned at its end; its lock goes with the file.
#[derive(Debug)]
pub(super) struct RunLog(File);

impl RunLog {
    /// Begins the log of a fresh run, or reads the one of `run`.
    pub(super) fn open(path: &Path, run: Option<RunId>) -> Result<(RunId, Vec<Mark>, Self), InputError> {
        let wrong = |allowed: &str| wrong("--run-log", &path.display().to_string(), allowed);
        let cannot = |error: io::Error| wrong(&format!("a file that can be read and written ({error})"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(run.is_none()).truncate(false);
        let mut file = options.open(path).map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(wrong("free: another process writes it now")),
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(cannot)?;
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let Some(run) = run else {
            if !whole.is_empty() {
                return Err(wrong(
                    "a new file: this one holds the log of another run; repeat that one with --run",
                ));
            }
            let run = RunId::fresh(None);
            let begun = file.set_len(0).and_then(|()| file.rewind());
            let begun = begun.and_then(|()| writeln!(file, "run {run}")).and_then(|()| file.sync_all());
            begun.map_err(cannot)?;
            return Ok((run, Vec::new(), Self(file)));
        };
        let mut lines = whole.lines();
        let of = lines.next().and_then(|line| line.strip_prefix("run ")).unwrap_or_default();
        if of != run.to_string() {
            return Err(wrong(&format!("the log of the run {run}")));
        }
        let marks = read_marks(lines).ok_or_else(|| wrong("a log that `enqueue` wrote, unchanged"))?;
        let end = whole.len() as u64;
        file.set_len(end).and_then(|()| file.seek(SeekFrom::Start(end))).map_err(cannot)?;
        Ok((run, marks, Self(file)))
    }

    /// Notes that the input up to this mark was read, and returns once that is on disk.
    pub(super) fn append(&mut self, mark: Mark) -> io::Result<()> {
        let digest: String = mark.digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let written = self.0.write_all(format!("{} {digest}\n", mark.offset).as_bytes());
        written
            .and_then(|()| self.0.sync_data())
            .map_err(|error| io::Error::new(error.kind(), format!("the run log cannot be written: {error}")))
    }
}

fn read_marks<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<Mark>> {
    let mut last = 0;
    lines
        .map(|line| {
            let (offset, digest) = line.split_once(' ')?;
            let offset = offset.parse().ok().filter(|offset| *offset > last)?;
            last = offset;
            let bits = u128::from_str_radix(digest, 16).ok().filter(|_| digest.len() == 32)?;
            Some(Mark { offset, digest: bits.to_be_bytes() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_back_and_one_that_was_edited_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let marks = [Mark { offset: 7, digest: [1; 16] }, Mark { offset: 9, digest: [0xfe; 16] }];
        let (run, none, mut log) = RunLog::open(&path, None).unwrap();
        assert_eq!(none, []);
        assert!(RunLog::open(&path, Some(run.clone())).unwrap_err().allowed.contains("another process"));
        marks.iter().for_each(|mark| log.append(*mark).unwrap());
        drop(log);
        let whole = std::fs::read_to_string(&path).unwrap();
        // A crash in the middle of a line takes that line back, wherever it was cut.
        for end in run.to_string().len() + 5..=whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let (_, read, log) = RunLog::open(&path, Some(run.clone())).unwrap();
            assert!(marks.starts_with(&read), "{read:?}");
            drop(log);
            assert!(std::fs::read_to_string(&path).unwrap().ends_with('\n'));
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(RunLog::open(&path, Some(run.clone())).unwrap().1, marks);
        assert!(RunLog::open(&path, None).unwrap_err().allowed.contains("a new file"));
        assert!(
            RunLog::open(&path, Some(RunId::fresh(None))).unwrap_err().allowed.contains("the log of the run")
        );
        for bad in ["x\n", "9 00\n", "3 01010101010101010101010101010101\n"] {
            std::fs::write(&path, format!("{whole}{bad}")).unwrap();
            assert!(RunLog::open(&path, Some(run.clone())).is_err(), "{bad}");
        }
        std::fs::write(&path, "").unwrap();
        assert!(RunLog::open(&path, Some(run)).is_err());
        assert!(RunLog::open(dir.path(), None).is_err());
    }
}
