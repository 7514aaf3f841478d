//! Replies, read leniently: a key of another type or bytes that are no text are findings, not failures.

use redis::{Pipeline, Value};

use tollgate::failure::Failure;
use tollgate::journal::{self, Line};
use tollgate::keys::Keys;
use tollgate::link::Link;

/// One field of a reply as it was stored; `None` if it is not there.
pub(super) type Field = Option<Vec<u8>>;

/// The inner error says what is wrong with the key; the outer one that nothing could be learnt.
pub(super) fn judge(reply: Result<Value, Failure>) -> Result<Result<Value, String>, Failure> {
    match reply {
        Ok(value) => Ok(Ok(value)),
        Err(failure) => damage(failure).map(Err),
    }
}

/// What an error reply says about the key, if it says that the key is damaged.
pub(super) fn damage(failure: Failure) -> Result<String, Failure> {
    match failure {
        Failure::Server { code, .. } if code == "WRONGTYPE" => Ok("a key of another type".to_owned()),
        Failure::Server { code, detail } if matches!(code.as_str(), "NOGROUP" | "corrupt_partition") => {
            Ok(detail)
        }
        other => Err(other),
    }
}

/// The bytes of one reply.
pub(super) fn field(value: Value) -> Field {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        Value::Int(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// A flat list; anything else is an empty one.
pub(super) fn fields(value: Value) -> Vec<Field> {
    match value {
        Value::Array(items) => items.into_iter().map(field).collect(),
        _ => Vec::new(),
    }
}

/// Asks for these fields of a hash, or for a text that has all its fields as words: what [`fields_or_words`] takes apart.
pub(super) fn ask_fields(pipeline: &mut Pipeline, key: &str, is_text: bool, names: &[&str]) {
    match is_text {
        true => pipeline.cmd("GET").arg(key),
        false => pipeline.cmd("HMGET").arg(key).arg(names),
    };
}

/// The fields of a hash, or the words of a text, a space between two: `count` of them; what is behind the last stays with
/// it. A number is one field; of what is not there, there is none.
pub(super) fn fields_or_words(value: Value, count: usize) -> Vec<Field> {
    match value {
        Value::BulkString(text) => {
            let words = text.splitn(count, |byte| *byte == b' ').map(|word| Some(word.to_vec()));
            words.chain(std::iter::repeat(None)).take(count).collect()
        }
        Value::Int(_) => vec![field(value)],
        value => fields(value),
    }
}

/// What SCAN, HSCAN and ZSCAN answer: where to go on (`0` at the end), and a flat list.
pub(super) fn scanned(value: Value) -> (Vec<u8>, Vec<Vec<u8>>) {
    let Value::Array(parts) = value else { return (b"0".to_vec(), Vec::new()) };
    let mut parts = parts.into_iter();
    let cursor = parts.next().and_then(field).unwrap_or_else(|| b"0".to_vec());
    let items = parts.next().map(fields).unwrap_or_default();
    (cursor, items.into_iter().flatten().collect())
}

/// A number as the scripts write them: plain digits up to 2^53 - 1, nothing in front.
pub(super) fn number(field: &Field) -> Option<u64> {
    let text = std::str::from_utf8(field.as_deref()?).ok()?;
    let plain = (1..=16).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|number| plain && *number <= tollgate::amount::NUMBER_MAX)
}

/// For messages: the text, `nothing`, or the start of it if it is long.
pub(super) fn shown(field: &Field) -> String {
    const SHOWN_MAX: usize = 120;
    match field.as_deref() {
        None => "nothing".to_owned(),
        Some(bytes) => {
            let text: String = String::from_utf8_lossy(bytes).chars().take(SHOWN_MAX).collect();
            format!("{text:?}")
        }
    }
}

/// Items of a list two by two.
pub(super) fn pairs(items: Vec<Vec<u8>>) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let mut items = items.into_iter();
    std::iter::from_fn(move || Some((items.next()?, items.next()?)))
}

/// The line at `seq`; `None` if there is none that can be read.
pub(super) async fn line_at(link: &mut Link, keys: &Keys, seq: u64) -> Result<Option<Line>, Failure> {
    match journal::line_at(link, keys, seq).await {
        Ok(line) => Ok(line.ok().flatten()),
        Err(failure) => damage(failure).map(|_| None),
    }
}

/// Hands every line of the journal that can be read to `each`, until that answers false. For a second reading:
/// what is wrong with the journal itself was told by the first.
pub(super) async fn each_line(
    link: &mut Link,
    keys: &Keys,
    mut each: impl FnMut(Line) -> bool,
) -> Result<(), Failure> {
    const PAGE: usize = 200;
    let mut after: Option<String> = None;
    loop {
        let page = match journal::page(link, keys, after.as_deref(), PAGE).await {
            Ok(page) => page,
            Err(failure) => return damage(failure).map(drop),
        };
        let is_last = page.len() < PAGE;
        for row in page {
            match row {
                Ok(entry) => {
                    for line in entry.each_line().flatten() {
                        if !each(line) {
                            return Ok(());
                        }
                    }
                    after = Some(entry.stream_id());
                }
                Err(damage) => after = Some(damage.entry),
            }
        }
        if is_last {
            return Ok(());
        }
    }
}
