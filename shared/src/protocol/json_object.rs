//! The fields of one JSON object in their literal text. Must not talk to Redis.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::protocol::code::Code;
use crate::protocol::input::InputError;
use crate::protocol::spelling::closest;

/// Reads an object that has no other fields than the `known` ones, in their order; one that is left out or null is `None`.
///
/// # Errors
/// Names the field that is unknown or repeated. Where the text is no object the error names no field, and says that it must
/// be `shape`.
pub(crate) fn read_object<'a, const N: usize>(
    text: &'a str,
    known: [&str; N],
    shape: &str,
) -> Result<[Option<&'a str>; N], InputError> {
    let members: Members<'a> = serde_json::from_str(text).map_err(|error| {
        let (code, cause) = match error.classify() {
            Category::Data => (Code::WrongType, String::new()),
            _ => (Code::MalformedJson, format!(" ({error})")),
        };
        InputError::new(code, "", text, &format!("{shape}{cause}"))
    })?;
    let mut values: [Option<&str>; N] = [None; N];
    for (name, value) in members.0 {
        let Some(at) = known.iter().position(|known| *known == name) else {
            return Err(InputError::new(Code::UnknownField, &name, value.get(), &one_of(&known, &name)));
        };
        if values[at].replace(value.get()).is_some() {
            return Err(InputError::new(Code::RepeatedField, &name, value.get(), "given once"));
        }
    }
    Ok(values.map(|value| value.filter(|literal| *literal != "null")))
}

/// What is allowed where the field `name` is unknown, and which of them it may have been meant to be.
pub(crate) fn one_of(known: &[&str], name: &str) -> String {
    let meant = closest(name, known.iter().copied());
    let meant = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
    format!("one of {}{meant}", known.join(", "))
}

/// Names and values, as they stand there.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// The name of a field, borrowed unless it holds an escape.
#[derive(serde::Deserialize)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            members.push((name, map.next_value()?));
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_name_or_named_as_wrong() {
        let read = |text| read_object(text, ["item", "quantity"], "an object");
        assert_eq!(read(r#"{"quantity":1,"\u0069tem":"a"}"#), Ok([Some("\"a\""), Some("1")]));
        assert_eq!(read(r#"{"quantity":null}"#), Ok([None, None]));
        for (text, code, field, allowed) in [
            (r#"{"quantty":1}"#, Code::UnknownField, "quantty", "did you mean `quantity`?"),
            (r#"{"price":1}"#, Code::UnknownField, "price", "one of item, quantity"),
            (r#"{"item":"a","item":"a"}"#, Code::RepeatedField, "item", "given once"),
            (r#"{"item":null,"item":"a"}"#, Code::RepeatedField, "item", "given once"),
            ("[]", Code::WrongType, "", "an object"),
            ("7", Code::WrongType, "", "an object"),
            (r#"{"item":"a",}"#, Code::MalformedJson, "", "trailing comma at line 1 column 13"),
            (r#"{"item":"a"} x"#, Code::MalformedJson, "", "trailing characters"),
            ("A-1,1", Code::MalformedJson, "", "expected value"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!((error.code, error.field.as_str()), (code, field), "{text}");
            assert!(error.allowed.contains(allowed), "{text}: {error}");
        }
    }
}
