//! The run of an input: what makes sending it a second time the same as the first.
//!
//! A line without an id gets one that is a function of the run and the line's number, so whoever repeats a run
//! sends the same ids, wherever the first attempt broke off. That is right for the same bytes only, so a run
//! belongs to them: a file's run carries the beginning of its SHA-256. Pure, but for the fresh id.

use std::fmt;

use sha2::{Digest, Sha256};
use tollgate::code::Code;
use tollgate::ids::{Bucket, HOUR_MS, JobId};
use tollgate::input::InputError;
use tollgate::instant::Instant;

/// Hex digits of a file's SHA-256 in its run: two files that differ by accident never share them.
const DIGEST_DIGITS: usize = 16;

/// The beginning of a file's SHA-256, as `sha256sum` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileDigest(String);

impl FileDigest {
    pub(crate) fn of(hash: Sha256) -> Self {
        let mut digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        digits.truncate(DIGEST_DIGITS);
        Self(digits)
    }

    fn parse(text: &str) -> Option<Self> {
        let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        (text.len() == DIGEST_DIGITS && text.chars().all(is_digit)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A UUIDv7, and of a file its digest: `<UUIDv7>` or `<UUIDv7>.<digest>`. The UUID's time is the time of every
/// line's id, so the receipts of one run lie together and age together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunId {
    uuid: String,
    at: Instant,
    digest: Option<FileDigest>,
}

impl RunId {
    /// A run of its own, of a file or of what can be read only once.
    pub(crate) fn fresh(digest: Option<FileDigest>) -> Self {
        let fresh = JobId::fresh();
        let run =
            Self::parse(fresh.as_str()).unwrap_or_else(|_| unreachable!("a fresh id is a canonical UUIDv7"));
        Self { digest, ..run }
    }

    /// The run of an earlier attempt.
    pub(crate) fn parse(text: &str) -> Result<Self, InputError> {
        let wrong = || {
            let allowed = "a UUIDv7 in lower case, and of a file a dot and 16 digits of its SHA-256, as `enqueue` printed it";
            InputError::new(Code::IdMalformed, "run", text, allowed)
        };
        let (uuid, digest) = match text.split_once('.') {
            None => (text, None),
            Some((uuid, digest)) => (uuid, Some(FileDigest::parse(digest).ok_or_else(wrong)?)),
        };
        let Bucket::Hour(hour) = JobId::parse(uuid).map_err(|_| wrong())?.bucket() else {
            return Err(wrong());
        };
        // The first 48 bits, which the bucket has shown to be hex digits.
        let digits: String = uuid.chars().filter(|digit| *digit != '-').take(12).collect();
        let at_ms = u64::from_str_radix(&digits, 16).map_err(|_| wrong())?;
        let at = Instant::from_ms(at_ms).filter(|at| at.ms() / HOUR_MS == hour).ok_or_else(wrong)?;
        Ok(Self { uuid: uuid.to_owned(), at, digest })
    }

    /// Of the file that it belongs to; `None` if it is of an input that can be read only once.
    pub(crate) fn digest(&self) -> Option<&FileDigest> {
        self.digest.as_ref()
    }

    /// The id of the line of this number, from 1: a UUIDv7 of the run's time and 74 bits of
    /// SHA-256(run, line end, number).
    pub(crate) fn line_id(&self, number: u64) -> JobId {
        let mut hash = Sha256::new();
        hash.update(self.uuid.as_bytes());
        hash.update(b"\n");
        hash.update(number.to_string().as_bytes());
        let hash = hash.finalize();
        let mut bits = [0; 10];
        bits.copy_from_slice(&hash[..10]);
        JobId::timed(self.at, &bits)
    }
}

/// As it was or will be typed.
impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uuid)?;
        self.digest.iter().try_for_each(|digest| write!(f, ".{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_line_has_the_same_id_in_every_attempt_and_no_other_line_has_it() {
        let run = RunId::parse("0198c2a1-7b3c-7def-8123-456789abcdef").unwrap();
        let again = RunId::parse(&run.to_string()).unwrap();
        let ids: HashSet<JobId> = (1..10_000).map(|number| run.line_id(number)).collect();
        assert_eq!(ids.len(), 9_999);
        assert!((1..10_000).all(|number| ids.contains(&again.line_id(number))));
        // A vector: an id that changed would let a run that was broken off by an older release pay twice.
        assert_eq!(run.line_id(1).as_str(), "0198c2a1-7b3c-77ec-9083-714f1de0d0ea");
        let other = RunId::parse("0198c2a1-7b3c-7def-8123-456789abcdee").unwrap();
        assert!(!ids.contains(&other.line_id(1)));
    }

    #[test]
    fn only_a_uuid_v7_names_a_run() {
        let of_file = RunId::fresh(Some(FileDigest::of(Sha256::new())));
        assert!(of_file.to_string().ends_with(".e3b0c44298fc1c14"), "{of_file}");
        for run in [RunId::fresh(None), of_file] {
            assert_eq!(RunId::parse(&run.to_string()), Ok(run));
        }
        for bad in [
            "",
            "yesterday",
            "0198C2A1-7B3C-7DEF-8123-456789ABCDEF",
            "0198c2a1-7b3c-4def-8123-456789abcdef",
            "0198c2a1-7b3c-7def-8123-456789abcdef.",
            "0198c2a1-7b3c-7def-8123-456789abcdef.E3B0C44298FC1C14",
            "0198c2a1-7b3c-7def-8123-456789abcdef.e3b0c44298fc1c1",
            "0198c2a1-7b3c-7def-8123-456789abcdef.e3b0c44298fc1c14.0",
        ] {
            assert_eq!(RunId::parse(bad).unwrap_err().code, Code::IdMalformed, "{bad}");
        }
    }
}
