//! How much to ask for in one read, so that the answer comes in time over the link that there is.
//!
//! Redis counts entries, a slow link bytes: a fetch of 256 entries of 60 KB takes a link of 20 Mbit/s longer than an
//! answer may take, so asked for again and again it never comes. After each time-out half as much is asked for, in
//! bytes by the size of the entries that came last; after some full answers in time, more again. Pure.

/// The most that is asked for at once.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// What an entry is taken for before any was seen.
const ENTRY_BYTES: usize = 1024;
/// After so many full answers in time, twice as much is asked for.
const FULL_ANSWERS: u32 = 16;

#[derive(Debug)]
pub(crate) struct ReadSize {
    bytes: usize,
    /// Of the last answer, on average.
    entry_bytes: usize,
    full_answers: u32,
}

impl ReadSize {
    pub(crate) fn new() -> Self {
        Self { bytes: BYTES_MAX, entry_bytes: ENTRY_BYTES, full_answers: 0 }
    }

    /// How many entries to ask for, where `wanted` would be best.
    pub(crate) fn count(&self, wanted: usize) -> usize {
        (self.bytes / self.entry_bytes).clamp(1, wanted.max(1))
    }

    /// An answer to `asked` came in time: so many entries, so many bytes.
    pub(crate) fn answered(&mut self, asked: usize, entries: usize, bytes: usize) {
        let Some(entry_bytes) = bytes.checked_div(entries) else { return };
        self.entry_bytes = entry_bytes.max(1);
        // What has come once comes again.
        self.bytes = self.bytes.max(bytes).max(self.entry_bytes);
        if entries < asked {
            return;
        }
        self.full_answers += 1;
        if self.full_answers == FULL_ANSWERS {
            self.full_answers = 0;
            self.bytes = self.bytes.saturating_mul(2).min(BYTES_MAX);
        }
    }

    /// No answer to `asked` came in time.
    pub(crate) fn timed_out(&mut self, asked: usize) {
        self.bytes = (asked / 2).max(1).saturating_mul(self.entry_bytes);
        self.full_answers = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_entries_are_asked_for_as_wanted_and_large_ones_by_their_bytes() {
        let mut size = ReadSize::new();
        assert_eq!((size.count(256), size.count(500)), (256, 500));
        size.answered(256, 10, 10 * 60_000);
        assert_eq!((size.count(256), size.count(500)), (256, 279));
        size.answered(256, 1, 1_000_000);
        assert_eq!(size.count(256), 16);
        size.answered(16, 16, 16 * 100);
        assert_eq!(size.count(256), 256);
    }

    #[test]
    fn each_time_out_halves_what_is_asked_for_and_full_answers_double_it() {
        let mut size = ReadSize::new();
        let mut counts = Vec::new();
        for _ in 0..10 {
            let asked = size.count(256);
            counts.push(asked);
            size.timed_out(asked);
        }
        assert_eq!(counts, [256, 128, 64, 32, 16, 8, 4, 2, 1, 1]);
        size.answered(1, 1, 60_000);
        assert_eq!(size.count(256), 1, "one answer says little");
        for _ in 0..FULL_ANSWERS {
            let asked = size.count(256);
            size.answered(asked, asked, asked * 60_000);
        }
        assert_eq!(size.count(256), 2);
        // What came while less was asked for is not the most that may be asked for.
        size.timed_out(64);
        size.answered(32, 32, 32 * 60_000);
        assert_eq!(size.count(256), 32);
        assert_eq!(ReadSize::new().count(0), 1);
    }
}
