//! A list of codes: read from a file, named by its content, uploaded.

use std::collections::HashSet;
use std::io::{self, BufRead};

use redis::Pipeline;
use sha2::{Digest, Sha256};

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::code::Code;
use crate::protocol::codes_name::CodesName;
use crate::protocol::input::InputError;
use crate::protocol::keys::Keys;
use crate::protocol::quantity::Limit;

use super::line::{self, CODE_BYTES_MAX};

/// Most codes in a list; they are all in memory once, to find duplicates.
pub const CODES_MAX: usize = 10_000_000;
/// How many codes one HSET carries, and how many HSETs one round trip.
const CODES_PER_COMMAND: usize = 500;
const COMMANDS_PER_TRIP: usize = 20;

/// The distinct codes of a file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codes {
    name: CodesName,
    pub(super) codes: Vec<String>,
    duplicates: u64,
}

/// Why a file is no list of codes.
#[derive(Debug, thiserror::Error)]
pub enum CodesError {
    /// It cannot be read.
    #[error("cannot read the codes: {0}")]
    Io(#[from] io::Error),
    /// A line of it is no code.
    #[error("line {line}: {error}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        error: InputError,
    },
    /// It holds no code, or too many.
    #[error(transparent)]
    Count(InputError),
}

impl Codes {
    /// Reads one code a line. Line ends may be of either kind; a code that was there before is dropped and
    /// counted.
    ///
    /// # Errors
    /// Names the first line that is no code.
    pub fn read(mut reader: impl BufRead) -> Result<Self, CodesError> {
        let mut seen = HashSet::new();
        let mut codes = Vec::new();
        let mut duplicates = 0;
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            // A line that never ends is not read into memory: whatever is cut off is too long already.
            let longest = (CODE_BYTES_MAX + 8) as u64;
            if io::Read::take(&mut reader, longest).read_until(b'\n', &mut bytes)? == 0 {
                break;
            }
            let code =
                line::read(&bytes, number).map_err(|error| CodesError::Line { line: number, error })?;
            if !seen.insert(code.clone()) {
                duplicates += 1;
                continue;
            }
            if codes.len() == CODES_MAX {
                return Err(count_error(codes.len() + 1));
            }
            codes.push(code);
        }
        let name = name(&codes).filter(|_| !codes.is_empty()).ok_or_else(|| count_error(codes.len()))?;
        Ok(Self { name, codes, duplicates })
    }

    /// The list's name.
    pub fn name(&self) -> &CodesName {
        &self.name
    }

    /// How many distinct codes there are: the limit of a campaign that hands them out.
    pub fn limit(&self) -> Limit {
        Limit::new(self.codes.len() as u64)
            .unwrap_or_else(|| unreachable!("a list is shorter than CODES_MAX"))
    }

    /// How many lines repeated an earlier one.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Writes the list under its name in one partition.
    ///
    /// # Errors
    /// Redis's. Some of the list may have been written: calling again writes the same.
    ///
    /// # Cancel safety
    /// As after an error.
    pub async fn upload(&self, link: &mut Link, keys: &Keys) -> Result<(), Failure> {
        let key = keys.codes(&self.name);
        for (trip, codes) in self.codes.chunks(CODES_PER_COMMAND * COMMANDS_PER_TRIP).enumerate() {
            let mut pipeline = Pipeline::new();
            let mut number = trip * CODES_PER_COMMAND * COMMANDS_PER_TRIP;
            for codes in codes.chunks(CODES_PER_COMMAND) {
                pipeline.cmd("HSET").arg(&key);
                for code in codes {
                    number += 1;
                    pipeline.arg(number).arg(code);
                }
            }
            for reply in link.run_pipeline(&pipeline).await? {
                reply?;
            }
        }
        Ok(())
    }
}

fn count_error(count: usize) -> CodesError {
    let allowed = format!("1 to {CODES_MAX} codes, one a line");
    CodesError::Count(InputError::new(Code::LimitOutOfRange, "codes", &count.to_string(), &allowed))
}

/// SHA-256 over the distinct codes in order, each with its line end.
fn name(codes: &[String]) -> Option<CodesName> {
    let mut namer = Namer::default();
    codes.iter().for_each(|code| namer.add(code.as_bytes()));
    namer.name()
}

/// Names a list whose codes are added one by one, in order.
#[derive(Debug, Default)]
pub struct Namer(Sha256);

impl Namer {
    /// Adds the next one.
    pub fn add(&mut self, code: &[u8]) {
        self.0.update(code);
        self.0.update(b"\n");
    }

    /// The name of the list.
    pub fn name(self) -> Option<CodesName> {
        let hex: String = self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        CodesName::parse(&hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Codes, String> {
        Codes::read(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_name_is_of_the_distinct_codes_in_order() {
        let plain = read("A\nB\nC\n").unwrap();
        assert_eq!(read("\u{feff}A\r\nB\r\nA\r\nC"), Ok(Codes { duplicates: 1, ..plain.clone() }));
        assert_ne!(read("B\nA\nC\n").unwrap().name(), plain.name());
        assert_ne!(read("AB\nC\n").unwrap().name(), read("A\nBC\n").unwrap().name());
        assert_eq!(plain.limit().get(), 3);
    }

    #[test]
    fn a_line_that_is_no_code_is_named() {
        for (text, line) in
            [("A\n\nB", 2), ("A\n B", 2), ("A \n", 1), ("A\tB\n", 1), ("\n", 1), (&"x".repeat(129), 1)]
        {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(&format!("line {line}: code ")), "{text:?}: {error}");
        }
        assert!(read(&"x".repeat(128)).is_ok());
        assert!(Codes::read(&b"\xff\n"[..]).is_err());
        assert!(read("").unwrap_err().contains("1 to 10000000 codes"));
        assert!(Codes::read(io::BufReader::new(io::repeat(b'x'))).is_err());
    }
}
