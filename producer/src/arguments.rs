//! Parsers of single values of the command line that are no type of their own in `tollgate`.
//!
//! Pure. An error says what is allowed; clap adds the flag and the value.

use std::time::Duration;

use tollgate::amount::NUMBER_MAX;
use tollgate::code::Code;
use tollgate::ids::JobId;
use tollgate::input::InputError;
use tollgate::instant::Instant;
use tollgate::partition::{PARTITIONS_MAX, Partitions};
use tollgate::quantity::Limit;
use tollgate::quantity::{Quantity, Version};
use tollgate::span_ms::SpanMs;

/// Longest time that a flag takes, so that no sum of times overflows: a hundred years.
const DURATION_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// `30s`, `7d`, `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        _ => {
            Err("must be a time with its unit, for example 500ms, 30s, 15m or 7d, at most 100 years"
                .to_owned())
        }
    }
}

/// For how long something is held.
pub(crate) fn hold_for(text: &str) -> Result<SpanMs, String> {
    SpanMs::of("hold_for", duration(text)?).map_err(|error| error.to_string())
}

/// A job id as it may be stored, those that Tollgate makes itself included.
pub(crate) fn stored_id(text: &str) -> Result<JobId, InputError> {
    JobId::stored(text)
}

/// An RFC 3339 time.
pub(crate) fn time(text: &str) -> Result<Instant, InputError> {
    Instant::parse("time", text)
}

/// An amount in decimals, which is read when its currency is known.
pub(crate) fn decimals(text: &str) -> Result<String, InputError> {
    match text {
        "" => Err(InputError::new(Code::AmountOutOfRange, "amount", "", "a number, for example 12.50")),
        text => Ok(text.to_owned()),
    }
}

/// How many coupons.
pub(crate) fn quantity(text: &str) -> Result<Quantity, InputError> {
    Quantity::parse("quantity", text)
}

/// How many coupons at most.
pub(crate) fn limit(text: &str) -> Result<Limit, InputError> {
    Limit::parse("limit", text)
}

/// Of a case.
pub(crate) fn version(text: &str) -> Result<Version, InputError> {
    Version::parse("expect_version", text)
}

/// How many partitions.
pub(crate) fn partitions(text: &str) -> Result<Partitions, String> {
    number(text)
        .and_then(|count| u16::try_from(count).ok())
        .and_then(Partitions::new)
        .ok_or_else(|| format!("must be a whole number from 1 to {PARTITIONS_MAX}"))
}

/// A count of at least one.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    number(text)
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("must be a whole number from 1 to {NUMBER_MAX}"))
}

/// Plain digits up to 2^53 - 1.
fn number(text: &str) -> Option<u64> {
    Limit::parse("number", text).ok().map(Limit::get)
}

/// The error of a flag or an argument whose value is not what it must be.
pub(crate) fn wrong(field: &str, value: &str, allowed: &str) -> InputError {
    InputError::new(Code::WrongType, field, value, allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_plain_and_in_range() {
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        for bad in ["", "5", "-5s", "soon", "101years", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(partitions("16").unwrap().count(), 16);
        for bad in ["0", "16385", "70000", "-1", "+1", "1.5", "1e3", ""] {
            assert!(partitions(bad).is_err(), "{bad}");
        }
        assert_eq!(count("1"), Ok(1));
        assert!(count("0").is_err());
    }
}
