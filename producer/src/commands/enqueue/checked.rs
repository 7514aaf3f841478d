//! A reader that gives out nothing it has not checked: where the run knows what must come, block by block
//! against that; where it keeps a log, only after the log has it on disk.
//!
//! If the process dies on the next instruction the log may know a block of which nothing was sent: a repeated run
//! then checks and sends it. It never sends a line of a block that the log does not know.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use sha2::{Digest, Sha256};

use super::mark::Mark;
use super::run_log::RunLog;

/// How much is read, and compared, at a time.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

/// What may come after the last mark.
#[derive(Debug)]
pub(super) enum After {
    /// Nothing: the input ends there.
    End,
    /// Anything, once the log knows it.
    Log(RunLog),
    /// Anything.
    Anything,
}

/// The reader.
pub(super) struct Checked {
    inner: Box<dyn Read + Send>,
    marks: VecDeque<Mark>,
    after: After,
    hash: Sha256,
    offset: u64,
    block: Vec<u8>,
    used: usize,
}

impl Checked {
    pub(super) fn new(inner: Box<dyn Read + Send>, marks: Vec<Mark>, after: After) -> Self {
        let (hash, block) = (Sha256::new(), Vec::with_capacity(BLOCK_BYTES));
        Self { inner, marks: marks.into(), after, hash, offset: 0, block, used: 0 }
    }

    /// Reads the next block and checks it; an empty one is the end.
    fn next_block(&mut self) -> io::Result<()> {
        self.block.clear();
        self.used = 0;
        let Some(mark) = self.marks.front().copied() else {
            let count = self.read_some()?;
            return match &mut self.after {
                _ if count == 0 => Ok(()),
                After::Anything => Ok(()),
                After::End => Err(changed(self.offset, "it has grown since the run began")),
                After::Log(log) => {
                    self.hash.update(&self.block);
                    self.offset += count as u64;
                    log.append(Mark::new(self.offset, &self.hash))
                }
            };
        };
        // Whole, up to the mark: only there can it be compared.
        let length = mark.offset.saturating_sub(self.offset);
        let mut inner = self.inner.by_ref().take(length);
        loop {
            match inner.read_to_end(&mut self.block) {
                Ok(_) => break,
                // What has come is kept in the block, and counted by `take`.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if self.block.len() as u64 != length {
            return Err(changed(self.offset, "it ends before the place that the run had reached"));
        }
        self.hash.update(&self.block);
        if Mark::new(mark.offset, &self.hash) != mark {
            return Err(changed(self.offset, "it is not what the run is of"));
        }
        self.offset = mark.offset;
        self.marks.pop_front();
        Ok(())
    }

    /// Reads what there is, at most a block.
    fn read_some(&mut self) -> io::Result<usize> {
        self.block.resize(BLOCK_BYTES, 0);
        let read = loop {
            match self.inner.read(&mut self.block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.block.truncate(read.as_ref().map_or(0, |count| *count));
        read
    }
}

fn changed(offset: u64, what: &str) -> io::Error {
    let words = format!("the input differs after byte {offset}: {what}; nothing after that byte was sent");
    io::Error::new(io::ErrorKind::InvalidData, words)
}

impl Read for Checked {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(to)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Checked {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used >= self.block.len() {
            self.next_block().inspect_err(|_| {
                // What failed its check is never given out, whoever asks again.
                self.block.clear();
            })?;
        }
        Ok(&self.block[self.used..])
    }

    fn consume(&mut self, count: usize) {
        self.used = self.block.len().min(self.used + count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(text: &[u8], offsets: &[usize]) -> Vec<Mark> {
        offsets
            .iter()
            .map(|end| {
                let mut hash = Sha256::new();
                hash.update(&text[..*end]);
                Mark::new(*end as u64, &hash)
            })
            .collect()
    }

    /// What is given out, and how it ended.
    fn read(text: &'static [u8], marks: Vec<Mark>, after: After) -> (Vec<u8>, Option<String>) {
        let mut checked = Checked::new(Box::new(text), marks, after);
        let mut given = Vec::new();
        let ended = checked.read_to_end(&mut given).err().map(|error| error.to_string());
        (given, ended)
    }

    #[test]
    fn nothing_is_given_out_that_differs() {
        let whole = b"one\ntwo\nthree\n";
        assert_eq!(read(whole, marks(whole, &[4, 8, 14]), After::End), (whole.to_vec(), None));
        assert_eq!(read(whole, marks(whole, &[4]), After::Anything), (whole.to_vec(), None));
        for (text, given, why) in [
            (&b"one\ntwO\nthree\n"[..], &b"one\n"[..], "after byte 4: it is not what the run is of"),
            (b"one\ntwo\nthree\nfour\n", whole, "after byte 14: it has grown"),
            (b"one\ntwo\nth", b"one\ntwo\n", "after byte 8: it ends before"),
            (b"", b"", "after byte 0: it ends before"),
        ] {
            let (got, ended) = read(text, marks(whole, &[4, 8, 14]), After::End);
            assert_eq!(got, given);
            assert!(ended.as_ref().is_some_and(|words| words.contains(why)), "{ended:?}");
        }
    }
}
