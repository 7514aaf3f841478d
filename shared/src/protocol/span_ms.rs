//! For how long something is held. Must not talk to Redis.

use std::time::Duration;

use crate::protocol::code::Code;
use crate::protocol::input::InputError;
use crate::protocol::span::span;

/// A time of 1 millisecond to 90 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanMs(u64);

impl SpanMs {
    /// The longest.
    pub const MAX: Duration = Duration::from_secs(90 * 24 * 3600);
    const RULE: &str = "a whole number of milliseconds from 1 to 7776000000 (90 days)";

    /// Takes a number of milliseconds in range.
    pub fn new(ms: u64) -> Option<Self> {
        (1..=Self::MAX.as_millis() as u64).contains(&ms).then_some(Self(ms))
    }

    /// Takes a duration.
    ///
    /// # Errors
    /// It is out of range; the error names `field`.
    pub fn of(field: &str, duration: Duration) -> Result<Self, InputError> {
        let ms = u64::try_from(duration.as_millis()).ok().and_then(Self::new);
        let out_of_range =
            || InputError::new(Code::DurationOutOfRange, field, &span(duration), "from 1ms to 90d");
        ms.ok_or_else(out_of_range)
    }

    /// Reads plain decimal digits.
    ///
    /// # Errors
    /// They are out of range, or no digits; the error names `field`.
    pub fn parse(field: &str, text: &str) -> Result<Self, InputError> {
        let plain = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let read = if plain { text.parse().ok().and_then(Self::new) } else { None };
        read.ok_or_else(|| InputError::new(Code::DurationOutOfRange, field, text, Self::RULE))
    }

    /// In milliseconds.
    pub fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_plain_digits_in_range() {
        assert_eq!(SpanMs::parse("hold_for_ms", "600000").unwrap().get(), 600_000);
        for bad in ["0", "-1", "1.5", "", "1e3", "7776000001", "10m"] {
            let error = SpanMs::parse("hold_for_ms", bad).unwrap_err();
            assert_eq!(error.code, Code::DurationOutOfRange, "{bad}");
        }
        assert!(SpanMs::of("--hold-for", SpanMs::MAX).is_ok());
        assert!(SpanMs::of("--hold-for", Duration::ZERO).is_err());
        let error = SpanMs::of("--hold-for", Duration::from_secs(91 * 24 * 3600)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--hold-for \"91 days\": must be from 1ms to 90d (duration_out_of_range)"
        );
    }
}
