//! A text as JSON has it. Must not talk to Redis.

use std::borrow::Cow;

use crate::protocol::code::Code;
use crate::protocol::input::InputError;

/// Reads a JSON string.
///
/// # Errors
/// [`Code::WrongType`] for any other literal, and for a string whose escapes are no text.
pub(crate) fn json_text<'a>(field: &str, literal: &'a str) -> Result<Cow<'a, str>, InputError> {
    let wrong = |allowed| InputError::new(Code::WrongType, field, literal, allowed);
    match literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        None => Err(wrong("a JSON string")),
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        // The literal is JSON, whose grammar leaves one thing open: half a pair of surrogates, which is no character.
        Some(_) => serde_json::from_str::<String>(literal)
            .map(Cow::Owned)
            .map_err(|_| wrong(r"text: an escape from \ud800 to \udfff has to stand in a pair")),
    }
}

#[cfg(test)]
mod tests {
    use super::json_text;

    #[test]
    fn half_a_pair_is_told_apart_from_what_is_no_string() {
        assert_eq!(json_text("customer", r#""\ud83d\ude00""#).unwrap(), "\u{1f600}");
        for literal in [r#""e\ud800""#, r#""\ude00e""#] {
            let told = json_text("customer", literal).unwrap_err().to_string();
            assert!(told.contains("has to stand in a pair"), "{told}");
        }
        let told = json_text("customer", "7").unwrap_err().to_string();
        assert_eq!(told, "customer \"7\": must be a JSON string (wrong_type)");
    }
}
