//! A file of jobs, read line by line in flat memory: each line becomes work, or one complaint.
//!
//! Must not hold more than one line, however long it is: past the longest envelope a line is only skipped.

use std::io::{self, BufRead};

use tollgate::code::Code;
use tollgate::envelope::{self, ENVELOPE_BYTES_MAX, Envelope};
use tollgate::ids::JobId;
use tollgate::input::InputError;
use tollgate::job::Job;
use tollgate::kinds::{Fields, Operation, Request};

use crate::run::RunId;
use crate::sender::{NamedOperation, Work};

/// What is kept of a line. One byte more than an envelope may have: a carriage return may belong to the line's end.
const KEPT_BYTES_MAX: usize = ENVELOPE_BYTES_MAX + 1;

/// The lines of a reader, with their numbers from 1.
pub(crate) struct Lines<R> {
    reader: R,
    number: u64,
    line: Vec<u8>,
    /// How many bytes of the line were read, which may be more than `line` keeps.
    length: u64,
    /// Whether `line` is the beginning of one whose end has not come yet.
    begun: bool,
}

/// One line without its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawLine<'a> {
    /// From 1.
    pub(crate) number: u64,
    /// Only the beginning where the line is longer than any envelope.
    pub(crate) bytes: &'a [u8],
    /// How many bytes the whole line has; those of its end, and a byte order mark, may count.
    length: u64,
}

impl<'a> RawLine<'a> {
    /// Whether there is more of it than `bytes`.
    pub(crate) fn is_cut(self) -> bool {
        self.length > KEPT_BYTES_MAX as u64
    }

    /// The line, unless it is too long.
    pub(crate) fn whole(self) -> Result<&'a [u8], InputError> {
        if self.is_cut() || self.bytes.len() > ENVELOPE_BYTES_MAX {
            Err(envelope::too_long(self.length))
        } else {
            Ok(self.bytes)
        }
    }
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, number: 0, line: Vec::new(), length: 0, begun: false }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// The reader's. After `WouldBlock` it may be called again: what was read of a line is kept.
    pub(crate) fn next(&mut self) -> io::Result<Option<RawLine<'_>>> {
        if !self.begun {
            self.line.clear();
            self.length = 0;
        }
        loop {
            let read = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read.is_empty() {
                break;
            }
            self.begun = true;
            let end = read.iter().position(|byte| *byte == b'\n');
            let part = &read[..end.unwrap_or(read.len())];
            let room = KEPT_BYTES_MAX - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            self.length += part.len() as u64;
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !std::mem::take(&mut self.begun) {
            return Ok(None);
        }
        self.number += 1;
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        // Editors of one system begin a file with a byte order mark.
        let mark = "\u{feff}".as_bytes();
        let line = if self.number == 1 { line.strip_prefix(mark).unwrap_or(line) } else { line };
        Ok(Some(RawLine { number: self.number, bytes: line, length: self.length }))
    }
}

/// What one line asks for.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) work: Work,
    /// Whether the line itself names its id.
    pub(crate) has_own_id: bool,
}

/// What a line asks for. A line without an id gets the one that the run gives it; an operation that creates
/// something, the one that its name gives it.
pub(crate) fn work(line: RawLine<'_>, run: &RunId) -> Result<Line, InputError> {
    let Envelope { id, at, request } = Envelope::decode(line.whole()?).map_err(|poison| poison.error)?;
    let has_own_id = id.is_some();
    let work = match request {
        Request::Job(request) => {
            Work::Job(Job { id: id.unwrap_or_else(|| run.line_id(line.number)), at, request })
        }
        Request::Operation(request) => {
            let id = match (id, &request) {
                (Some(id), _) => id,
                (None, Operation::CampaignCreate(create)) => JobId::create_campaign(&create.campaign),
                (None, Operation::AccountOpen(open)) => JobId::create_account(&open.account),
                (None, Operation::InventoryCreate(create)) => JobId::create_inventory(&create.inventory),
                (None, Operation::CaseOpen(open)) => JobId::open_case(&open.case),
                (None, _) => {
                    let allowed = format!("given for a {}, so that it can be repeated", request.kind());
                    return Err(InputError::new(Code::MissingField, "id", "", &allowed));
                }
            };
            Work::Operation(NamedOperation { id, request })
        }
    };
    Ok(Line { work, has_own_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8], capacity: usize) -> Vec<(u64, Vec<u8>)> {
        let mut lines = Lines::new(io::BufReader::with_capacity(capacity, bytes));
        let mut all = Vec::new();
        while let Some(RawLine { number, bytes, .. }) = lines.next().unwrap() {
            all.push((number, bytes.to_vec()));
        }
        all
    }

    #[test]
    fn lines_are_numbered_whatever_their_ends_and_the_buffer() {
        let text = "\u{feff}one\r\n\ntwo\nthree".as_bytes();
        let expected: Vec<(u64, Vec<u8>)> = [(1, "one"), (2, ""), (3, "two"), (4, "three")]
            .into_iter()
            .map(|(number, line)| (number, line.as_bytes().to_vec()))
            .collect();
        for capacity in [1, 2, 3, 5, 100] {
            assert_eq!(lines(text, capacity), expected, "{capacity}");
        }
        assert!(lines(b"", 10).is_empty());
        assert_eq!(lines(b"a\n", 10).len(), 1);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_not_kept() {
        let text = [vec![b'x'; 5 * ENVELOPE_BYTES_MAX], b"\nshort\n".to_vec()].concat();
        let mut lines = Lines::new(io::BufReader::with_capacity(8192, &text[..]));
        let long = lines.next().unwrap().unwrap();
        assert!(long.is_cut());
        assert_eq!(long.bytes.len(), ENVELOPE_BYTES_MAX + 1);
        let told = work(long, &RunId::fresh(None)).unwrap_err().to_string();
        assert_eq!(told, "envelope \"327680 bytes\": must be at most 65536 bytes (payload_too_large)");
        let short = lines.next().unwrap().unwrap();
        assert_eq!((short.number, short.whole().unwrap()), (2, &b"short"[..]));
        // The last byte that is kept looks like a line's end; one that is an end does not count.
        let most = vec![b'x'; ENVELOPE_BYTES_MAX];
        for (end, is_whole) in [("\r\n", true), ("\n", true), ("x\n", false), ("\rx\n", false)] {
            let text = [&most[..], end.as_bytes()].concat();
            let mut lines = Lines::new(&text[..]);
            assert_eq!(lines.next().unwrap().unwrap().whole().is_ok(), is_whole, "{end:?}");
        }
    }

    #[test]
    fn ids_that_are_missing_are_given() {
        let run = RunId::fresh(None);
        let of_text = |text: &str| work(RawLine { number: 7, bytes: text.as_bytes(), length: 0 }, &run);
        let id = |line: &str| match of_text(line) {
            Ok(line) => Ok(line.work.id().to_string()),
            Err(error) => Err(error.to_string()),
        };
        let given = run.line_id(7).to_string();
        assert_eq!(id(r#"{"kind":"redeem","campaign":"c","customer":"x"}"#), Ok(given));
        assert_eq!(id(r#"{"kind":"redeem","id":"r","campaign":"c","customer":"x"}"#), Ok("r".to_owned()));
        assert_eq!(
            id(r#"{"kind":"account_open","account":"a","balance":0}"#),
            Ok("create/account/a".to_owned())
        );
        assert_eq!(
            id(r#"{"kind":"campaign_create","campaign":"c","limit":1}"#),
            Ok("create/campaign/c".to_owned())
        );
        assert_eq!(
            id(r#"{"kind":"deposit","account":"a","amount":5}"#),
            Err(r#"id: must be given for a deposit, so that it can be repeated (missing_field)"#.to_owned())
        );
    }
}
