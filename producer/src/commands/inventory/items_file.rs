//! A file of items: one JSON object a line, or CSV under the header `item,quantity`, or `item,quantity,per_customer`.
//!
//! It is read whole before anything is sent: one line that is none, and nothing is loaded.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate::code::Code;
use tollgate::ids::ItemId;
use tollgate::input::InputError;
use tollgate::quantity::{Limit, Quantity};
use tollgate::stock::{ITEMS_MAX, Stock, StockItem};

use crate::lines::Lines;

const HEADERS: [&str; 2] = ["item,quantity", "item,quantity,per_customer"];
const JSON_RULE: &str =
    r#"one object a line, {"item":"A-12","quantity":1}, and perhaps with "per_customer":2 in it"#;
const CSV_RULE: &str = "what the header says, one item a line, as A-12,1 or A-12,1,2";

/// Reads the file.
///
/// # Errors
/// Names the first line that is no item, or that names one again.
pub(super) fn read(path: &Path) -> anyhow::Result<Stock> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        let allowed = format!("a readable file of items ({error})");
        InputError::new(Code::WrongType, "--items-file", &shown.to_string(), &allowed)
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut items = Items::default();
    let mut lines = Lines::new(BufReader::new(file));
    // How many columns, of CSV.
    let mut columns = None;
    while let Some((number, line)) = lines.next().map_err(unreadable)? {
        let at = || format!("{shown}: line {number}");
        let text = std::str::from_utf8(line)
            .map_err(|_| wrong("line", &String::from_utf8_lossy(line), "UTF-8"))
            .with_context(at)?;
        let text = text.strip_suffix('\r').unwrap_or(text);
        let text = if number == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        if items.list.is_empty() && columns.is_none() && !text.trim_start().starts_with('{') {
            let is_header = |header: &&&str| text.split(',').map(str::trim).eq(header.split(','));
            let Some(header) = HEADERS.iter().find(is_header) else {
                let allowed = format!("a JSON object, or the header {}", HEADERS.join(" or "));
                return Err(wrong("line", text, &allowed)).with_context(at);
            };
            columns = Some(header.split(',').count());
            continue;
        }
        let read = columns.map_or_else(|| read_json(text), |columns| read_csv(text, columns));
        read.and_then(|(item, there)| items.add(item, there, number)).with_context(at)?;
    }
    Stock::new(items.list).with_context(|| shown.to_string())
}

/// The items so far, and where each stands.
#[derive(Default)]
struct Items {
    list: Vec<(ItemId, StockItem)>,
    lines: HashMap<ItemId, u64>,
}

impl Items {
    fn add(&mut self, item: ItemId, there: StockItem, line: u64) -> Result<(), InputError> {
        if let Some(first) = self.lines.insert(item.clone(), line) {
            let allowed = format!("named once: it stands in line {first}, too");
            return Err(InputError::new(Code::RepeatedField, "item", item.as_str(), &allowed));
        }
        if self.list.len() == ITEMS_MAX {
            let allowed = format!("1 to {ITEMS_MAX} items");
            return Err(InputError::new(Code::LimitOutOfRange, "items", "more", &allowed));
        }
        self.list.push((item, there));
        Ok(())
    }
}

fn wrong(field: &str, value: &str, allowed: &str) -> InputError {
    InputError::new(Code::WrongType, field, value, allowed)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonItem<'a> {
    #[serde(borrow)]
    item: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    quantity: &'a RawValue,
    #[serde(borrow)]
    per_customer: Option<&'a RawValue>,
}

fn read_json(text: &str) -> Result<(ItemId, StockItem), InputError> {
    let line: JsonItem<'_> = serde_json::from_str(text).map_err(|_| wrong("line", text, JSON_RULE))?;
    let quantity = Limit::parse("quantity", line.quantity.get())?;
    let per_customer =
        line.per_customer.map(|most| Quantity::parse("per_customer", most.get())).transpose()?;
    Ok((ItemId::parse(line.item)?, StockItem { quantity, per_customer }))
}

/// An item in quotes may hold commas, and a quote as two; a number holds neither. A limit that is left empty is none.
fn read_csv(text: &str, columns: usize) -> Result<(ItemId, StockItem), InputError> {
    let last = |text| str::rsplit_once(text, ',').ok_or_else(|| wrong("line", text, CSV_RULE));
    let (rest, most) = if columns == 3 { last(text)? } else { (text, "") };
    let (item, quantity) = last(rest)?;
    let quoted = item.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let item = match quoted {
        Some(inner) if !inner.replace("\"\"", "").contains('"') => inner.replace("\"\"", "\""),
        None if !item.contains([',', '"']) => item.to_owned(),
        _ => return Err(wrong("line", text, CSV_RULE)),
    };
    let quantity = Limit::parse("quantity", quantity.trim())?;
    let per_customer = match most.trim() {
        "" => None,
        most => Some(Quantity::parse("per_customer", most)?),
    };
    Ok((ItemId::parse(item)?, StockItem { quantity, per_customer }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn of(text: &str) -> anyhow::Result<Stock> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        read(file.path())
    }

    #[test]
    fn both_forms_are_one_list() {
        let json =
            of("{\"item\":\"A-1\",\"quantity\":1}\n{\"quantity\":0,\"item\":\"a, \\\"b\\\"\"}").unwrap();
        let csv = of("\u{feff}item,quantity\r\nA-1,1\r\n\"a, \"\"b\"\"\",0\r\n").unwrap();
        assert_eq!(json, csv);
        assert_eq!((json.count(), json.units().get()), (2, 1));
        let json =
            of("{\"item\":\"A-1\",\"quantity\":1}\n{\"per_customer\":2,\"quantity\":3,\"item\":\"b\"}");
        let csv = of("item,quantity,per_customer\nA-1,1,\nb,3, 2\n");
        assert_eq!(json.unwrap(), csv.unwrap());
    }

    #[test]
    fn the_line_that_is_wrong_is_named() {
        let json = |line: &str| format!("{{\"item\":\"A-1\",\"quantity\":1}}\n{line}\n");
        for (text, line, what) in [
            ("", None, "1 to 1000000 items"),
            ("item,quantity\n", None, "1 to 1000000 items"),
            ("A-1,1\n", Some(1), "item,quantity"),
            ("item,quantity\nA-1,1\nA-1,2\n", Some(3), "in line 2"),
            ("item,quantity\nA-1\n", Some(2), "A-12,1"),
            ("item,quantity\na,b,1\n", Some(2), "A-12,1"),
            ("item,quantity\nA-1,-1\n", Some(2), "quantity"),
            ("item,quantity,limit\nA-1,1,2\n", Some(1), "item,quantity,per_customer"),
            ("item,quantity,per_customer\nA-1,1\n", Some(2), "A-12,1"),
            ("item,quantity,per_customer\nA-1,1,0\n", Some(2), "per_customer \"0\""),
            ("item,quantity,per_customer\nA-1,1,-1\n", Some(2), "per_customer \"-1\""),
            ("item,quantity,per_customer\nA-1,1,two\n", Some(2), "per_customer \"two\""),
            ("item,quantity,per_customer\nA-1,1,9007199254740992\n", Some(2), "to 9007199254740991"),
            (&json("{\"item\":\"B\",\"quantity\":1,\"per_customer\":0}"), Some(2), "per_customer \"0\""),
            (&json("{\"item\":\"B\",\"quantity\":1,\"per_customer\":\"2\"}"), Some(2), "per_customer"),
            (&json("{\"item\":\"B\",\"quantity\":1,\"per_customers\":2}"), Some(2), "object"),
            (&json(""), Some(2), "object"),
            (&json("{}"), Some(2), "object"),
            (&json("{\"item\":\"B\",\"quantity\":1.5}"), Some(2), "quantity"),
            (&json("{\"item\":\"\",\"quantity\":1}"), Some(2), "item"),
            (&json("{\"item\":\"B\",\"quantity\":1,\"price\":3}"), Some(2), "object"),
            (&json("{\"item\":\"A-1\",\"quantity\":1}"), Some(2), "in line 1"),
        ] {
            let error = format!("{:#}", of(text).unwrap_err());
            assert!(error.contains(what), "{text:?}: {error}");
            assert_eq!(error.contains(": line "), line.is_some(), "{text:?}: {error}");
            assert!(line.is_none_or(|line| error.contains(&format!(": line {line}: "))), "{text:?}: {error}");
        }
    }
}
