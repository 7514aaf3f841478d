//! Instants as milliseconds since the Unix epoch: what Redis's TIME gives and what RFC 3339 text says.
//!
//! Only the server's clock decides anything; this module reads and shows what people write.

use std::fmt;

use crate::amount::NUMBER_MAX;
use crate::code::Code;
use crate::input::InputError;

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    /// Takes milliseconds since the Unix epoch.
    pub fn from_ms(at_ms: u64) -> Option<Self> {
        // jiff's own range ends in the year 9999, well below 2^53 - 1.
        (at_ms <= NUMBER_MAX && jiff::Timestamp::from_millisecond(at_ms as i64).is_ok())
            .then_some(Self(at_ms))
    }

    /// Milliseconds since the Unix epoch.
    pub fn ms(self) -> u64 {
        self.0
    }

    /// This machine's clock. For ids and display; no decision rests on it.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond().max(0) as u64)
    }

    /// Reads RFC 3339 text with an offset, `2026-11-23T10:00:00Z`, not before 1970.
    pub fn parse(field: &str, text: &str) -> Result<Self, InputError> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .and_then(|at| u64::try_from(at.as_millisecond()).ok())
            .and_then(Self::from_ms)
            .ok_or_else(|| {
                InputError::new(
                    Code::TimeMalformed,
                    field,
                    text,
                    "an RFC 3339 time, for example 2026-11-23T10:00:00Z",
                )
            })
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0 as i64) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_reads_back() {
        let at = Instant::parse("at", "2026-11-23T12:00:00.5+02:00").unwrap();
        assert_eq!(at.to_string(), "2026-11-23T10:00:00.5Z");
        for bad in [
            "",
            "tomorrow",
            "2026-11-23",
            "2026-11-23T10:00:00",
            "1969-12-31T23:59:59Z",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(Instant::parse("at", bad).unwrap_err().code, Code::TimeMalformed, "{bad}");
        }
    }
}
