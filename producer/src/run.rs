//! The run of a file: what makes sending it a second time the same as the first.
//!
//! A line without an id gets one that is a function of the run and the line's number, so whoever repeats a run
//! sends the same ids, wherever the first attempt broke off. Pure, but for the fresh id.

use sha2::{Digest, Sha256};
use tollgate::code::Code;
use tollgate::ids::{Bucket, HOUR_MS, JobId};
use tollgate::input::InputError;
use tollgate::instant::Instant;

/// A UUIDv7: its time is the time of every line's id, so the receipts of one run lie together and age together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunId {
    text: String,
    at: Instant,
}

impl RunId {
    /// A run of its own.
    pub(crate) fn fresh() -> Self {
        let fresh = JobId::fresh();
        Self::parse(fresh.as_str()).unwrap_or_else(|_| unreachable!("a fresh id is a canonical UUIDv7"))
    }

    /// The run of an earlier attempt.
    pub(crate) fn parse(text: &str) -> Result<Self, InputError> {
        let wrong = || {
            let allowed = "a UUIDv7 in lower case, as `enqueue` printed it";
            InputError::new(Code::IdMalformed, "run", text, allowed)
        };
        let Bucket::Hour(hour) = JobId::parse(text).map_err(|_| wrong())?.bucket() else {
            return Err(wrong());
        };
        // The first 48 bits, which the bucket has shown to be hex digits.
        let digits: String = text.chars().filter(|digit| *digit != '-').take(12).collect();
        let at_ms = u64::from_str_radix(&digits, 16).map_err(|_| wrong())?;
        let at = Instant::from_ms(at_ms).filter(|at| at.ms() / HOUR_MS == hour).ok_or_else(wrong)?;
        Ok(Self { text: text.to_owned(), at })
    }

    /// As it was or will be typed.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The id of the line of this number, from 1: a UUIDv7 of the run's time and 74 bits of
    /// SHA-256(run, line end, number).
    pub(crate) fn line_id(&self, number: u64) -> JobId {
        let mut hash = Sha256::new();
        hash.update(self.text.as_bytes());
        hash.update(b"\n");
        hash.update(number.to_string().as_bytes());
        let hash = hash.finalize();
        let mut bits = [0; 10];
        bits.copy_from_slice(&hash[..10]);
        JobId::timed(self.at, &bits)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_line_has_the_same_id_in_every_attempt_and_no_other_line_has_it() {
        let run = RunId::parse("0198c2a1-7b3c-7def-8123-456789abcdef").unwrap();
        let again = RunId::parse(run.as_str()).unwrap();
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
        assert!(RunId::parse(RunId::fresh().as_str()).is_ok());
        for bad in
            ["", "yesterday", "0198C2A1-7B3C-7DEF-8123-456789ABCDEF", "0198c2a1-7b3c-4def-8123-456789abcdef"]
        {
            assert_eq!(RunId::parse(bad).unwrap_err().code, Code::IdMalformed, "{bad}");
        }
    }
}
