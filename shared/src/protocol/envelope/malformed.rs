//! What is wrong with bytes that are no JSON object: where, why, and what they look like instead.
//!
//! Pure. Shows a few characters around the place, never the whole.

use std::str::Utf8Error;

use crate::protocol::code::Code;
use crate::protocol::input::InputError;

/// Characters that are shown before the place, and after it.
const AROUND_CHARS: usize = 30;

/// The error of bytes that are no UTF-8.
pub(super) fn no_text(bytes: &[u8], error: Utf8Error) -> InputError {
    let shown = String::from_utf8_lossy(bytes);
    match encoding(bytes) {
        Some(what) => wrong("envelope", &shown, what),
        None => wrong(
            &format!("envelope, byte {}", error.valid_up_to() + 1),
            &shown,
            "one JSON object in UTF-8, which this byte is not",
        ),
    }
}

/// The error of text that is no JSON object.
pub(super) fn no_object(text: &str, error: &serde_json::Error) -> InputError {
    if let Some(what) = encoding(text.as_bytes()).or_else(|| shape(text)) {
        return wrong("envelope", text, what);
    }
    if text.trim().is_empty() {
        return wrong("envelope", text, "one JSON object");
    }
    let told = error.to_string();
    let cause = told.split(" at line ").next().unwrap_or(&told);
    // serde_json counts bytes from 1, and says 0 for the end of the text.
    let at = text.lines().take(error.line().saturating_sub(1)).map(|line| line.len() + 1).sum::<usize>();
    let mut at = (at + error.column().saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let column = text[..at].chars().count() + 1;
    wrong(&format!("envelope, column {column}"), &around(text, at), &format!("one JSON object: {cause}"))
}

fn wrong(field: &str, shown: &str, allowed: &str) -> InputError {
    InputError::new(Code::MalformedJson, field, shown, allowed)
}

/// A file of another encoding, by its first bytes.
fn encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [_, 0, ..] | [0, _, ..] | [0] => {
            Some("one JSON object in UTF-8; this looks like UTF-16: `iconv -f UTF-16 -t UTF-8` converts it")
        }
        [0x1f, 0x8b, ..] => Some("one JSON object; this looks like gzip: `zcat FILE | …` unpacks it"),
        _ => None,
    }
}

/// What else the text may be, by its first characters.
fn shape(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let begins_a_member = || {
        let name = text.strip_prefix('"').and_then(|rest| rest.split_once('"'));
        name.is_some_and(|(_, rest)| rest.trim_start().starts_with(':'))
    };
    if text.starts_with('[') || text == "]" {
        return Some("one JSON object a line; this looks like a JSON array: `jq -c '.[]'` makes lines of it");
    }
    if text == "{" || text == "}" || text == "}," || begins_a_member() {
        return Some("one JSON object a line; this one goes over several lines: `jq -c .` makes one of it");
    }
    let is_object_and_comma = text.strip_suffix(',').is_some_and(|object| object.ends_with('}'));
    if is_object_and_comma && text.starts_with('{') {
        return Some("one JSON object a line, without a comma after it, as if it stood in an array");
    }
    (!text.starts_with(['{', '"']) && text.contains([',', ';', '\t'])).then_some(
        "one JSON object a line; this looks like CSV: examples/cdnow.awk shows how to make JSON of it",
    )
}

/// The text around a byte.
fn around(text: &str, at: usize) -> String {
    let from = text[..at].char_indices().rev().nth(AROUND_CHARS - 1).map_or(0, |(index, _)| index);
    let to = text[at..].char_indices().nth(AROUND_CHARS - 1).map_or(text.len(), |(index, _)| at + index);
    let (before, after) = (if from > 0 { "…" } else { "" }, if to < text.len() { "…" } else { "" });
    format!("{before}{}{after}", &text[from..to])
}

#[cfg(test)]
mod tests {
    use crate::protocol::envelope::Envelope;

    fn said(bytes: &[u8]) -> String {
        Envelope::decode(bytes).unwrap_err().error.to_string()
    }

    #[test]
    fn a_fault_is_told_with_its_place_and_cause() {
        let long = format!(r#"{{"kind":"redeem","customer":"{}","quantity":1,}}"#, "ж".repeat(70));
        let told = said(long.as_bytes());
        assert!(told.starts_with("envelope, column 115 '…"), "{told}");
        assert!(told.contains("trailing comma") && told.contains(r#""quantity":1,}'"#), "{told}");
        for (text, column, cause) in [
            (r#"{"kind":"redeem" "id":"a"}"#, 18, "expected `,` or `}`"),
            (r#"{'kind':'redeem'}"#, 2, "key must be a string"),
            (r#"{"kind":"redeem"} x"#, 19, "trailing characters"),
            (r#"{"amount":0x10}"#, 12, "expected `,` or `}`"),
            (r#"{"kind":"redeem""#, 16, "EOF while parsing an object"),
            (r#"{"kind":NaN}"#, 9, "expected value"),
        ] {
            let told = said(text.as_bytes());
            let expected = format!("envelope, column {column} ");
            assert!(told.starts_with(&expected) && told.contains(cause), "{text}: {told}");
        }
        assert!(said(b"{\"id\":\"\xff\"}").starts_with("envelope, byte 8 "));
    }

    #[test]
    fn what_it_looks_like_is_named() {
        for (bytes, name) in [
            (&b"\xff\xfe{\0\"\0"[..], "UTF-16"),
            (b"\xfe\xff\0{\0\"", "UTF-16"),
            (b"{\0\"\0k\0", "UTF-16"),
            (b"\0", "UTF-16"),
            (b"\x1f\x8b\x08\0rest", "gzip"),
            (b"[", "array"),
            (b"[{\"kind\":\"redeem\"}]", "array"),
            (b"]", "array"),
            (b"  {\"kind\":\"redeem\"},", "comma after it"),
            (b"{", "several lines"),
            (b"  \"kind\": \"redeem\",", "several lines"),
            (b"}", "several lines"),
            (b"kind,campaign,customer", "CSV"),
            (b"redeem;summer;c1", "CSV"),
        ] {
            let told = said(bytes);
            assert!(told.contains(name) && told.contains("malformed_json"), "{told}");
        }
        assert!(said(b"hello").contains("column 1 "), "{}", said(b"hello"));
    }
}
