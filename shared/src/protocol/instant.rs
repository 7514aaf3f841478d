//! Instants as milliseconds since the Unix epoch: what Redis's TIME gives and what RFC 3339 text says.
//!
//! Only the server's clock decides anything; this module reads and shows what people write.

use std::fmt;

use crate::protocol::code::Code;
use crate::protocol::input::InputError;

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instant(u64);

/// The last millisecond of the year 9999, the last that RFC 3339 can write.
const LAST_MS: u64 = 253_402_300_799_999;

impl Instant {
    /// Takes milliseconds since the Unix epoch, up to the end of the year 9999.
    pub fn from_ms(at_ms: u64) -> Option<Self> {
        (at_ms <= LAST_MS).then_some(Self(at_ms))
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
    ///
    /// # Errors
    /// [`Code::TimeMalformed`]; the error names `field`.
    pub fn parse(field: &str, text: &str) -> Result<Self, InputError> {
        at_ms(text).and_then(Self::from_ms).ok_or_else(|| {
            let allowed = "an RFC 3339 time with seconds and an offset, from 1970 to 9999, for example \
                           2026-11-23T10:00:00Z or 2026-11-23T12:00:00+02:00";
            InputError::new(Code::TimeMalformed, field, text, allowed)
        })
    }
}

/// Digits and offset are checked here, since jiff also takes times that are no RFC 3339 (no seconds, an offset of
/// 25 hours, a zone's name), and its instants end a day before the year 9999 does.
fn at_ms(text: &str) -> Option<u64> {
    let has_shape = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(c, shape)| match shape {
                b'0' => c.is_ascii_digit(),
                other => c.eq_ignore_ascii_case(&other),
            })
    };
    let (local, rest) = text.split_at_checked("0000-00-00T00:00:00".len())?;
    if !has_shape(local, "0000-00-00T00:00:00") {
        return None;
    }
    let digits = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if rest.starts_with('.') && !(1..=9).contains(&digits) {
        return None;
    }
    let (fraction, offset) = rest.split_at(if digits > 0 { digits + 1 } else { 0 });
    let offset_minutes = match offset {
        "Z" | "z" => 0,
        _ if has_shape(offset, "+00:00") || has_shape(offset, "-00:00") => {
            let (hours, minutes) = (offset[1..3].parse::<i64>().ok()?, offset[4..].parse::<i64>().ok()?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            if offset.starts_with('-') { -(hours * 60 + minutes) } else { hours * 60 + minutes }
        }
        _ => return None,
    };
    let local: jiff::civil::DateTime = format!("{local}{fraction}").parse().ok()?;
    let local_ms = i64::try_from(local.duration_since(epoch()).as_millis()).ok()?;
    u64::try_from(local_ms - offset_minutes * 60_000).ok()
}

fn epoch() -> jiff::civil::DateTime {
    jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0)
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match epoch().checked_add(jiff::SignedDuration::from_millis(self.0 as i64)) {
            Ok(at) => write!(f, "{at}Z"),
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
        for (text, shown) in [
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("1969-12-31T23:00:00-01:00", "1970-01-01T00:00:00Z"),
            ("2026-12-24t18:00:00z", "2026-12-24T18:00:00Z"),
            ("2024-02-29T23:30:00-23:59", "2024-03-01T23:29:00Z"),
        ] {
            let at = Instant::parse("at", text).unwrap();
            assert_eq!(at.to_string(), shown);
            assert_eq!(Instant::from_ms(at.ms()), Some(at));
        }
        assert_eq!(Instant::from_ms(LAST_MS + 1), None);
        for bad in [
            "",
            "tomorrow",
            "2026-11-23",
            "2026-11-23T10:00:00",
            "1969-12-31T23:59:59Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-12-24T18Z",
            "2026-12-24T18:00Z",
            "2026-12-24T10:00:00+25:00",
            "2026-12-24T10:00:00+02:60",
            "2026-12-24T10:00:00+02",
            "2026-12-24T10:00:00+0200",
            "2026-12-24 18:00:00Z",
            "2026-12-24T18:00:00Z[UTC]",
            "2026-12-24T18:00:00.Z",
            "2026-12-24T18:00:00,5Z",
            "20261224T180000Z",
            "+002026-12-24T18:00:00Z",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert_eq!(Instant::parse("at", bad).unwrap_err().code, Code::TimeMalformed, "{bad}");
        }
    }
}
