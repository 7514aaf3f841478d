//! A text as JSON has it. Must not talk to Redis.

use std::borrow::Cow;

use crate::protocol::code::Code;
use crate::protocol::input::InputError;

/// Reads a JSON string.
///
/// # Errors
/// [`Code::WrongType`] for any other literal.
pub(crate) fn json_text<'a>(field: &str, literal: &'a str) -> Result<Cow<'a, str>, InputError> {
    let wrong = || InputError::new(Code::WrongType, field, literal, "a JSON string");
    match literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        None => Err(wrong()),
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        Some(_) => serde_json::from_str::<String>(literal).map(Cow::Owned).map_err(|_| wrong()),
    }
}
