//! The error of every input: which field, what it held, what is allowed.

use crate::protocol::code::Code;

/// Longest part of a bad value that a message repeats, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// Something from outside that is not allowed; nothing was done with it.
///
/// `code` is of class invalid and is the reason under which a job in a stream goes to dead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}{shown}: must be {allowed} ({code})", shown = self.shown())]
pub struct InputError {
    /// Why, as a stable code.
    pub code: Code,
    /// The field, flag or part that was wrong.
    pub field: String,
    /// What it held, quoted and shortened for a message.
    pub value: String,
    /// What would have been accepted.
    pub allowed: String,
}

impl InputError {
    /// Names a bad `value` of `field` and what is `allowed` there.
    pub fn new(code: Code, field: &str, value: &str, allowed: &str) -> Self {
        let mut shown: String = value.chars().take(SHOWN_CHARS_MAX).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self { code, field: field.to_owned(), value: quoted(&shown), allowed: allowed.to_owned() }
    }
}

impl InputError {
    /// A `field` that must be given and is not.
    pub fn missing(field: &str) -> Self {
        Self::new(Code::MissingField, field, "", "given")
    }

    /// The value for a message; what is missing has none.
    fn shown(&self) -> String {
        match self.code {
            Code::MissingField => String::new(),
            _ => format!(" {}", self.value),
        }
    }
}

/// In quotes that the text does not hold itself, so that JSON is shown as it was typed.
fn quoted(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\'' | '\\' => c.to_string(),
        c => c.escape_debug().to_string(),
    };
    let escaped: String = text.chars().map(escape).collect();
    let quote = if text.contains('"') { '\'' } else { '"' };
    format!("{quote}{escaped}{quote}")
}
