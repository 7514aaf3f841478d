//! The lines that are no job, kept as they came: repaired in their file, they are sent as a run of its own.
//!
//! A run that is repeated rejects the same lines again. So a file that holds the beginning of them is completed,
//! and one that holds anything else (a person has repaired it, or it is of another run) is left alone: then a
//! number is added to the name. Nothing is ever overwritten.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Names that are tried one after the other.
const NAMES_MAX: u32 = 1_000;

/// The file of rejected lines; made when the first line comes.
#[derive(Debug)]
pub(super) struct Rejected {
    base: PathBuf,
    number: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Unopened,
    /// It is there, and so many bytes of it are what was rejected so far.
    Compared(BufReader<File>, u64),
    Written(BufWriter<File>),
}

impl Rejected {
    pub(super) fn new(base: PathBuf) -> Self {
        Self { base, number: 1, state: State::Unopened }
    }

    /// The file that holds the lines; `None` while there are none.
    pub(super) fn path(&self) -> Option<PathBuf> {
        (!matches!(self.state, State::Unopened)).then(|| numbered(&self.base, self.number))
    }

    /// Adds a line.
    pub(super) fn add(&mut self, line: &[u8]) -> io::Result<()> {
        let mut line = line.to_vec();
        line.push(b'\n');
        loop {
            match &mut self.state {
                State::Unopened => self.state = open(&numbered(&self.base, self.number))?,
                State::Written(file) => return file.write_all(&line),
                State::Compared(file, same) => {
                    let (mut there, same) = (Vec::with_capacity(line.len()), *same);
                    file.take(line.len() as u64).read_to_end(&mut there)?;
                    if there == line {
                        let State::Compared(_, same) = &mut self.state else { continue };
                        *same += line.len() as u64;
                        return Ok(());
                    }
                    if line.starts_with(&there) {
                        // It ends here: an earlier attempt was broken off.
                        let path = numbered(&self.base, self.number);
                        let mut file = BufWriter::new(OpenOptions::new().append(true).open(path)?);
                        file.write_all(&line[there.len()..])?;
                        self.state = State::Written(file);
                        return Ok(());
                    }
                    self.go_to_next(same)?;
                }
            }
        }
    }

    /// Writes what is held back.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Written(file) => file.flush(),
            _ => Ok(()),
        }
    }

    /// Turns to the next name, taking along the `same` bytes that the file before had in common.
    fn go_to_next(&mut self, same: u64) -> io::Result<()> {
        let before = numbered(&self.base, self.number);
        loop {
            self.number += 1;
            if self.number > NAMES_MAX {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            let path = numbered(&self.base, self.number);
            match open(&path)? {
                State::Written(mut file) => {
                    io::copy(&mut File::open(&before)?.take(same), &mut file)?;
                    self.state = State::Written(file);
                    return Ok(());
                }
                State::Compared(mut file, _) => {
                    if has_same_beginning(&before, &mut file, same)? {
                        self.state = State::Compared(file, same);
                        return Ok(());
                    }
                }
                State::Unopened => {}
            }
        }
    }
}

fn numbered(base: &Path, number: u32) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    if number > 1 {
        name.push(format!(".{number}"));
    }
    name.into()
}

fn open(path: &Path) -> io::Result<State> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => Ok(State::Written(BufWriter::new(file))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(State::Compared(BufReader::new(File::open(path)?), 0))
        }
        Err(error) => Err(error),
    }
}

fn has_same_beginning(before: &Path, file: &mut BufReader<File>, length: u64) -> io::Result<bool> {
    let mut expected = BufReader::new(File::open(before)?).take(length).bytes();
    let mut found = file.by_ref().take(length).bytes();
    loop {
        match (expected.next().transpose()?, found.next().transpose()?) {
            (None, None) => return Ok(true),
            (one, other) if one != other => return Ok(false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(base: &Path, lines: &[&str]) -> Option<PathBuf> {
        let mut rejected = Rejected::new(base.to_owned());
        lines.iter().for_each(|line| rejected.add(line.as_bytes()).unwrap());
        rejected.flush().unwrap();
        rejected.path()
    }

    #[test]
    fn a_repeated_run_completes_its_file_and_overwrites_none() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("jobs.rejected");
        assert_eq!(reject(&base, &[]), None);
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        let whole = "one\ntwo\nthree\n";
        // Broken off anywhere, then repeated.
        for cut in 0..=whole.len() {
            std::fs::write(&base, &whole[..cut]).unwrap();
            assert_eq!(reject(&base, &["one", "two", "three"]), Some(base.clone()));
            assert_eq!(text(&base), whole, "{cut}");
        }
        // Repaired by a person meanwhile.
        std::fs::write(&base, "one\nTWO\n").unwrap();
        let second = dir.path().join("jobs.rejected.2");
        for _ in 0..2 {
            assert_eq!(reject(&base, &["one", "two", "three"]), Some(second.clone()));
            assert_eq!((text(&base), text(&second)), ("one\nTWO\n".to_owned(), whole.to_owned()));
        }
        std::fs::write(&second, "else\n").unwrap();
        let third = reject(&base, &["one", "two"]).unwrap();
        assert_eq!(
            (third.file_name().unwrap().to_str(), text(&third).as_str()),
            (Some("jobs.rejected.3"), "one\ntwo\n")
        );
    }
}
