//! Why somebody decided as they did. Must not talk to Redis.

use std::fmt;
use std::str::FromStr;

use crate::protocol::code::Code;
use crate::protocol::input::InputError;

/// Longest reason in bytes: the journal keeps it for ever.
pub const REASON_BYTES_MAX: usize = 200;

/// A reason, in words: a journal line is one line, so it holds no control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Checks `text` and takes it, as it is.
    ///
    /// # Errors
    /// It is blank, too long, or holds a control character.
    pub fn parse(text: impl Into<String>) -> Result<Self, InputError> {
        let text = text.into();
        let bad =
            text.trim().is_empty() || text.len() > REASON_BYTES_MAX || text.chars().any(char::is_control);
        if bad {
            let allowed = format!("1 to {REASON_BYTES_MAX} bytes of UTF-8 without control characters");
            return Err(InputError::new(Code::ReasonMalformed, "reason", &text, &allowed));
        }
        Ok(Self(text))
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Reason {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_words() {
        assert_eq!(Reason::parse("income is \"proved\"").unwrap().as_str(), "income is \"proved\"");
        assert!(Reason::parse("x".repeat(REASON_BYTES_MAX)).is_ok());
        for bad in ["", "  ", "a\tb", "a\nb", "a\u{85}b", &"x".repeat(REASON_BYTES_MAX + 1)] {
            assert_eq!(Reason::parse(bad).unwrap_err().code, Code::ReasonMalformed, "{bad:?}");
        }
    }
}
