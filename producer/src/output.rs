//! Where words go: data to stdout, as JSON or as text for people; everything else to stderr.
//!
//! Writing never panics: that the reader has gone is an error like any other (`exit` tells it as silence).

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use serde::Serialize;

use crate::exit::Exit;

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Text for people; may change.
    Human,
    /// One JSON value a line; a contract.
    Json,
}

/// Stdout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
}

impl Output {
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints one datum: `json` as one line of JSON, or the text of `human`.
    pub(crate) fn data<T: fmt::Display>(
        self,
        json: &impl Serialize,
        human: impl FnOnce() -> T,
    ) -> io::Result<()> {
        match self.format {
            Format::Json => self.line(serde_json::to_string(json)?),
            Format::Human => self.line(human()),
        }
    }

    /// Prints what came of a change. If that cannot be written the change stands all the same: then it is said on
    /// stderr, and whoever reads stdout has no answer ([`Exit::Undecided`]).
    pub(crate) fn answer(self, json: &impl Serialize, human: impl fmt::Display) -> Exit {
        match self.data(json, || &human) {
            Ok(()) => Exit::Done,
            Err(error) => {
                complain(format_args!("the answer cannot be written to stdout: {error}\n{human}"));
                Exit::Undecided
            }
        }
    }

    /// Prints one line whatever the format.
    pub(crate) fn line(self, text: impl fmt::Display) -> io::Result<()> {
        // One write for one line, so that lines of several processes do not mix.
        io::stdout().write_all(format!("{text}\n").as_bytes()).map_err(of_stdout)
    }

    /// Begins a list that may be long: one JSON array, or one line for each item.
    pub(crate) fn list(self) -> List {
        List {
            format: self.format,
            out: io::BufWriter::with_capacity(64 * 1024, io::stdout()),
            is_empty: true,
        }
    }
}

/// A list that is printed while it is read; [`List::end`] completes it.
#[derive(Debug)]
pub(crate) struct List {
    format: Format,
    out: io::BufWriter<io::Stdout>,
    is_empty: bool,
}

impl List {
    /// Prints one item.
    pub(crate) fn item<T: fmt::Display>(
        &mut self,
        json: &impl Serialize,
        human: impl FnOnce() -> T,
    ) -> io::Result<()> {
        match self.format {
            Format::Json => {
                self.out.write_all(if self.is_empty { b"[" } else { b",\n" })?;
                serde_json::to_writer(&mut self.out, json)?;
            }
            Format::Human => writeln!(self.out, "{}", human())?,
        }
        self.is_empty = false;
        Ok(())
    }

    /// Ends the list. Without it a JSON list stays open, so a reader sees that it was cut off.
    pub(crate) fn end(mut self) -> io::Result<()> {
        if self.format == Format::Json {
            self.out.write_all(if self.is_empty { b"[]\n" } else { b"]\n" })?;
        }
        self.out.flush().map_err(of_stdout)
    }
}

/// The same error, which says where. Its kind stays: a reader that has gone is told as silence.
fn of_stdout(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write to stdout: {error}"))
}

/// How stderr is written, for the whole process: set once from the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Talk {
    /// JSON, one object a line, where data is JSON too.
    pub(crate) format: Format,
    /// Only what is wrong, what to do about it, and the id of a change.
    pub(crate) quiet: bool,
}

static TALK: OnceLock<Talk> = OnceLock::new();

/// Settles how stderr is written; before it, and without it, as text.
pub(crate) fn talk(how: Talk) {
    let _ = TALK.set(how);
}

/// How much a line of stderr matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Info,
    Hint,
    Warning,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Writes a line. That nobody listens is no reason to stop.
fn write(level: Level, prefix: &str, text: &dyn fmt::Display) {
    let line = match TALK.get().map(|talk| talk.format) {
        Some(Format::Json) => {
            serde_json::json!({ "level": level.name(), "message": text.to_string() }).to_string()
        }
        _ => format!("{prefix}{text}"),
    };
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Says on stderr what goes on, unless only what is wrong is wanted.
pub(crate) fn say(text: impl fmt::Display) {
    if !TALK.get().is_some_and(|talk| talk.quiet) {
        write(Level::Info, "", &text);
    }
}

/// Says on stderr what somebody must be able to find afterwards, however little is wanted.
pub(crate) fn always_say(text: impl fmt::Display) {
    write(Level::Info, "", &text);
}

/// Says on stderr what may be wrong.
pub(crate) fn warn(text: impl fmt::Display) {
    write(Level::Warning, "warning: ", &text);
}

/// Says on stderr what is wrong.
pub(crate) fn complain(text: impl fmt::Display) {
    write(Level::Error, "error: ", &text);
}

/// Says on stderr what is wrong with a part of the input, which the text names.
pub(crate) fn complain_of(text: impl fmt::Display) {
    write(Level::Error, "", &text);
}

/// Says what to do about it.
pub(crate) fn hint(text: impl fmt::Display) {
    write(Level::Hint, "hint: ", &text);
}

/// Whether someone watches stderr, where progress goes.
pub(crate) fn is_watched() -> bool {
    let is_for_people = TALK.get().is_none_or(|talk| talk.format == Format::Human && !talk.quiet);
    is_for_people && io::stderr().is_terminal()
}
