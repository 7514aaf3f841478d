//! What an order is of: items, and how many of each. Must not talk to Redis.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::protocol::code::Code;
use crate::protocol::ids::ItemId;
use crate::protocol::input::InputError;
use crate::protocol::json_object::read_object;
use crate::protocol::json_text::json_text;
use crate::protocol::quantity::Quantity;

/// Most lines of an order.
pub const LINES_MAX: usize = 64;

/// The lines of an order: 1 to 64 items, each named once, in the order of their bytes. Whoever names an item twice asks
/// for the sum.
///
/// Its text, in the journal and in the fingerprint, is `{<quantity> <item>}` for each of them: no id holds a brace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    text: String,
    /// Item and quantity.
    lines: Vec<(ItemId, Quantity)>,
}

impl Lines {
    /// Sums what names an item twice, and puts the lines in order.
    ///
    /// # Errors
    /// There is none, or there are too many, or a sum is too large.
    pub fn new(lines: impl IntoIterator<Item = (ItemId, Quantity)>) -> Result<Self, InputError> {
        let mut sums: BTreeMap<ItemId, Quantity> = BTreeMap::new();
        let mut named = 0;
        for (item, quantity) in lines {
            named += 1;
            let sum = sums.get(&item).map_or(0, |sum| sum.get()).saturating_add(quantity.get());
            let sum = Quantity::new(sum).ok_or_else(|| {
                let field = format!("the quantity of {item} in all lines");
                InputError::new(Code::QuantityOutOfRange, &field, &sum.to_string(), Quantity::RULE)
            })?;
            sums.insert(item, sum);
        }
        match named {
            0 => {
                let allowed = format!("1 to {LINES_MAX} lines");
                Err(InputError::new(Code::NoLines, "lines", "[]", &allowed))
            }
            1..=LINES_MAX => Ok(Self::sorted(sums.into_iter().collect())),
            _ => {
                let allowed = format!("1 to {LINES_MAX} lines; a larger order is several orders");
                Err(InputError::new(Code::TooManyLines, "lines", &named.to_string(), &allowed))
            }
        }
    }

    /// One item.
    pub fn of(item: ItemId, quantity: Quantity) -> Self {
        Self::sorted(vec![(item, quantity)])
    }

    fn sorted(lines: Vec<(ItemId, Quantity)>) -> Self {
        let text = lines.iter().map(|(item, quantity)| format!("{{{} {item}}}", quantity.get())).collect();
        Self { text, lines }
    }

    /// Item and quantity of each, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ItemId, Quantity)> {
        self.lines.iter().map(|(item, quantity)| (item, *quantity))
    }

    /// How many items.
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// How many units of all items.
    pub fn units(&self) -> u64 {
        self.iter().fold(0, |sum, (_, quantity)| sum.saturating_add(quantity.get()))
    }

    /// The one text of these lines.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads the text; `None` for any but the one that these lines have.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut lines = Vec::new();
        for line in text.strip_prefix('{')?.strip_suffix('}')?.split("}{") {
            let (quantity, item) = line.split_once(' ')?;
            lines.push((ItemId::parse(item).ok()?, Quantity::parse("quantity", quantity).ok()?));
        }
        Self::new(lines).ok().filter(|lines| lines.text == text)
    }

    /// Reads `[{"item":"A-12","quantity":1}]`; a quantity that is left out is 1.
    ///
    /// # Errors
    /// Names the line, from 1, and what is wrong with it.
    pub fn from_json(field: &str, literal: &str) -> Result<Self, InputError> {
        let raw: Vec<&RawValue> = serde_json::from_str(literal).map_err(|_| {
            let allowed = r#"a JSON list, [{"item":"A-12","quantity":1}, …]"#;
            InputError::new(Code::WrongType, field, literal, allowed)
        })?;
        let mut lines = Vec::with_capacity(raw.len().min(LINES_MAX));
        for (number, raw) in (1..).zip(raw) {
            let within = |error: InputError| match error.field.as_str() {
                "" => InputError { field: format!("{field}[{number}]"), ..error },
                part => InputError { field: format!("{field}[{number}].{part}"), ..error },
            };
            lines.push(Self::line_from_json(raw.get()).map_err(within)?);
        }
        Self::new(lines)
    }

    /// Reads `{"item":"A-12","quantity":1}`. An error names the field, or none where this is no object.
    fn line_from_json(literal: &str) -> Result<(ItemId, Quantity), InputError> {
        let shape = r#"an object, {"item":"A-12","quantity":1}"#;
        let [item, quantity] = read_object(literal, ["item", "quantity"], shape)?;
        let item = json_text("item", item.ok_or_else(|| InputError::missing("item"))?)?;
        let quantity = quantity.map(|literal| Quantity::parse("quantity", literal)).transpose()?;
        Ok((ItemId::parse(item)?, quantity.unwrap_or(Quantity::ONE)))
    }

    /// The JSON of lines that have this text.
    pub(crate) fn json_of(text: &str) -> String {
        let Some(lines) = Self::from_text(text) else { return "null".to_owned() };
        let lines: Vec<String> = lines
            .iter()
            .map(|(item, quantity)| {
                let item = serde_json::Value::from(item.as_str());
                format!(r#"{{"item":{item},"quantity":{}}}"#, quantity.get())
            })
            .collect();
        format!("[{}]", lines.join(","))
    }
}

/// By which an item's place among the buckets of its inventory is known, below 2^32: the scripts compute the same. No
/// product is above 2^53, so that Lua's numbers are exact.
pub(crate) fn hash_of(item: &ItemId) -> u64 {
    item.as_str().bytes().fold(0, |hash, byte| (hash * 1_664_525 + u64::from(byte)) % 4_294_967_291)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Lines, InputError> {
        Lines::from_json("lines", json)
    }

    #[test]
    fn one_meaning_has_one_text() {
        let lines =
            read(r#"[{"item":"B-7"},{"quantity":2,"item":"A 1"},{"item":"B-7","quantity":3}]"#).unwrap();
        assert_eq!(lines.as_str(), "{2 A 1}{4 B-7}");
        assert_eq!((lines.count(), lines.units()), (2, 6));
        assert_eq!(Lines::from_text(lines.as_str()), Some(lines.clone()));
        let json = Lines::json_of(lines.as_str());
        assert_eq!(json, r#"[{"item":"A 1","quantity":2},{"item":"B-7","quantity":4}]"#);
        assert_eq!(read(&json).unwrap(), lines);
        for other in ["", "{}", "{1 a", "1 a}", "{01 a}", "{0 a}", "{1 b}{1 a}", "{1 a}{1 a}", "{1  a}x"] {
            assert_eq!(Lines::from_text(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (json, code, field) in [
            ("{}", Code::WrongType, "lines"),
            ("[]", Code::NoLines, "lines"),
            ("[7]", Code::WrongType, "lines[1]"),
            (r#"[{"item":"a"},{"quantity":1}]"#, Code::MissingField, "lines[2].item"),
            (r#"[{"item":"a","qty":1}]"#, Code::UnknownField, "lines[1].qty"),
            (r#"[{"item":"a"},{"item":"a","item":"b"}]"#, Code::RepeatedField, "lines[2].item"),
            (r#"[{"item":7}]"#, Code::WrongType, "lines[1].item"),
            (r#"[{"item":"a{b"}]"#, Code::IdMalformed, "lines[1].item"),
            (r#"[{"item":"a","quantity":0}]"#, Code::QuantityOutOfRange, "lines[1].quantity"),
            (r#"[{"item":"a","quantity":1e3}]"#, Code::QuantityOutOfRange, "lines[1].quantity"),
        ] {
            let error = read(json).unwrap_err();
            assert_eq!((error.code, error.field.as_str()), (code, field), "{json}");
        }
        let many = |count: usize| format!("[{}]", vec![r#"{"item":"a"}"#; count].join(","));
        assert_eq!(read(&many(LINES_MAX)).unwrap().as_str(), "{64 a}");
        assert_eq!(read(&many(LINES_MAX + 1)).unwrap_err().code, Code::TooManyLines);
        let most = r#"{"item":"a","quantity":9007199254740991}"#;
        let error = read(&format!("[{most},{most}]")).unwrap_err();
        assert_eq!(error.code, Code::QuantityOutOfRange);
    }
}
