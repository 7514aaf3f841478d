//! Times of day that are set from outside: a small C library (`clock.c`), preloaded into a program, asks a file.
//!
//! Relies on a C compiler (`cc`) when it is made. Clocks that only go forward, by which time-outs are measured, stay.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

/// The library, compiled.
#[derive(Debug, Clone)]
pub struct Library {
    path: PathBuf,
}

/// The library was not made.
#[derive(Debug, Error)]
pub enum NotMade {
    /// There is no C compiler.
    #[error("no C compiler (cc) in PATH: install gcc or clang; clocks are set by a small C library ({0})")]
    NoCompiler(io::Error),
    /// The compiler refused it: its words.
    #[error("the library that sets clocks does not compile: {0}")]
    Refused(String),
    /// It cannot be written.
    #[error("the library that sets clocks cannot be written: {0}")]
    Unwritten(io::Error),
}

impl Library {
    /// Compiles it in a directory that outlives the programs that use it.
    ///
    /// # Errors
    /// See [`NotMade`].
    pub fn compile(dir: &Path) -> Result<Self, NotMade> {
        let (source, path) = (dir.join("clock.c"), dir.join("clock.so"));
        std::fs::write(&source, include_str!("clock.c")).map_err(NotMade::Unwritten)?;
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&path).arg(&source).stdin(Stdio::null());
        let ended = cc.output().map_err(NotMade::NoCompiler)?;
        if !ended.status.success() {
            return Err(NotMade::Refused(String::from_utf8_lossy(&ended.stderr).trim_end().to_owned()));
        }
        Ok(Self { path })
    }

    /// A clock that goes like the real one until it is set, in a file of its own.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn moving(&self, file: PathBuf) -> io::Result<Clock> {
        self.clock(file, 1)
    }

    /// A clock that stands still, at first in 1970.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn still(&self, file: PathBuf) -> io::Result<Clock> {
        self.clock(file, 0)
    }

    fn clock(&self, file: PathBuf, moves: i64) -> io::Result<Clock> {
        std::fs::write(&file, [moves.to_ne_bytes(), 0_i64.to_ne_bytes()].concat())?;
        Ok(Clock { file, library: self.path.clone() })
    }
}

/// One time of day, for any number of programs.
#[derive(Debug, Clone)]
pub struct Clock {
    file: PathBuf,
    library: PathBuf,
}

impl Clock {
    /// What a program is started with whose clock this is.
    pub fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("CLOCK_FILE", &self.file)]
    }

    /// Sets it: by how many microseconds one that moves is ahead of the real one, or when one that stands still
    /// stands, in microseconds since 1970.
    ///
    /// # Errors
    /// If its file cannot be written.
    pub fn set(&self, us: i64) -> io::Result<()> {
        // In place, and in one write: programs have the file mapped, and would end if it were cut under them.
        File::options().write(true).open(&self.file)?.write_all_at(&us.to_ne_bytes(), 8)
    }
}
