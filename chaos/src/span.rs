//! A span of durations as it is typed: `20ms`, or `5ms..50ms` for something between.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// From the shortest to the longest, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    least: Duration,
    most: Duration,
}

impl Span {
    /// Reads one duration or two; a nought needs no unit.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let read = |text: &str| match text {
            "0" => Ok(Duration::ZERO),
            text => humantime::parse_duration(text)
                .map_err(|_| "must be a duration or a range, for example 5ms..50ms".to_owned()),
        };
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        match (read(least)?, read(most)?) {
            (least, most) if least <= most => Ok(Self { least, most }),
            _ => Err("must not begin above its end".to_owned()),
        }
    }

    /// Its longest.
    #[cfg(feature = "race")]
    pub(crate) fn most(self) -> Duration {
        self.most
    }

    /// A duration within it.
    pub(crate) fn draw(self, random: &mut ChaCha8Rng) -> Duration {
        random.random_range(self.least..=self.most)
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = |duration: Duration| match duration {
            Duration::ZERO => "0".to_owned(),
            duration => humantime::format_duration(duration).to_string(),
        };
        match self {
            Self { least, most } if least == most => write!(f, "{}", words(*least)),
            Self { least, most } => write!(f, "{}..{}", words(*least), words(*most)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_duration_or_a_range_that_rises() {
        let ms = Duration::from_millis;
        assert_eq!(Span::parse("1ms..2ms"), Ok(Span { least: ms(1), most: ms(2) }));
        assert_eq!(Span::parse("0..5ms"), Ok(Span { least: ms(0), most: ms(5) }));
        assert_eq!(Span::parse("20ms"), Ok(Span { least: ms(20), most: ms(20) }));
        assert_eq!(Span::parse("0..5ms").unwrap().to_string(), "0..5ms");
        for wrong in ["2ms..1ms", "", "5", "1ms..", "-1ms", "1ms..2ms..3ms"] {
            assert!(Span::parse(wrong).is_err(), "{wrong}");
        }
    }
}
