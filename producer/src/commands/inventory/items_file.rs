//! A file of items: one JSON object a line, or CSV under the header `item,quantity`, or `item,quantity,per_customer`.
//!
//! It is read whole before anything is sent: one line that is none, and nothing is loaded.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;
use tollgate::code::Code;
use tollgate::ids::ItemId;
use tollgate::input::InputError;
use tollgate::quantity::{Limit, Quantity};
use tollgate::stock::{ITEMS_MAX, Stock, StockItem};

use crate::lines::{Lines, RawLine};

const HEADERS: [&str; 2] = ["item,quantity", "item,quantity,per_customer"];

/// Reads the file. Blank lines at its end are none.
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
    let mut form = None;
    let mut blank = None;
    while let Some(line) = lines.next().map_err(unreadable)? {
        let at = |number: u64| format!("{shown}: line {number}");
        let text = text_of(line).with_context(|| at(line.number))?;
        if text.trim().is_empty() {
            blank.get_or_insert(line.number);
            continue;
        }
        if let Some(number) = blank {
            return Err(wrong("", "an item: only the end of the file may be blank")).context(at(number));
        }
        let read = match form {
            None if text.trim_start().starts_with('{') => {
                form = Some(Form::Json);
                StockItem::from_json(text)
            }
            None => {
                form = Some(Form::Csv(header(text).with_context(|| at(line.number))?));
                continue;
            }
            Some(Form::Json) => StockItem::from_json(text),
            Some(Form::Csv(header)) => read_csv(text, header),
        };
        read.and_then(|(item, there)| items.add(item, there, line.number))
            .with_context(|| at(line.number))?;
    }
    Stock::new(items.list).with_context(|| shown.to_string())
}

/// How the lines of a file are written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    /// Under this header, one of [`HEADERS`].
    Csv(&'static str),
}

fn text_of(line: RawLine<'_>) -> Result<&str, InputError> {
    let named = |error| InputError { field: "line".to_owned(), ..error };
    let bytes = line.whole().map_err(named)?;
    std::str::from_utf8(bytes).map_err(|_| wrong(&String::from_utf8_lossy(bytes), "UTF-8"))
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

/// The error of a whole line.
fn wrong(line: &str, allowed: &str) -> InputError {
    InputError::new(Code::WrongType, "line", line, allowed)
}

fn header(text: &str) -> Result<&'static str, InputError> {
    let columns = columns_of(text).unwrap_or_default();
    let is_meant = |header: &&str| columns.iter().map(|column| column.trim()).eq(header.split(','));
    HEADERS
        .into_iter()
        .find(is_meant)
        .ok_or_else(|| wrong(text, &format!("a JSON object, or the header {}", HEADERS.join(" or "))))
}

/// A limit that is left empty, or left out with its comma, is none.
fn read_csv(text: &str, header: &str) -> Result<(ItemId, StockItem), InputError> {
    let Some(columns) = columns_of(text) else {
        return Err(wrong(text, r#"CSV: quotes around a whole column, and a quote within them as two"#));
    };
    let (item, quantity, most) = match &columns[..] {
        [item, quantity] => (item, quantity, ""),
        [item, quantity, most] if header == HEADERS[1] => (item, quantity, &**most),
        _ => {
            let count = header.split(',').count();
            let allowed =
                format!("{count} columns under the header {header}; an item with a comma stands in quotes");
            return Err(wrong(text, &allowed));
        }
    };
    let quantity = Limit::parse("quantity", quantity)?;
    let per_customer = match most {
        "" => None,
        most => Some(Quantity::parse("per_customer", most)?),
    };
    Ok((ItemId::parse(&**item)?, StockItem { quantity, per_customer }))
}

/// The columns of one line as RFC 4180 has them: any of them may stand in quotes, then it may hold commas, and a quote as
/// two. `None` where quotes stand elsewhere.
fn columns_of(text: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut columns = Vec::new();
    let mut rest = text;
    loop {
        let (column, after) = match rest.strip_prefix('"') {
            Some(rest) => quoted(rest)?,
            None => match rest.split_at(rest.find(',').unwrap_or(rest.len())) {
                (bare, _) if bare.contains('"') => return None,
                (bare, after) => (Cow::Borrowed(bare), after),
            },
        };
        columns.push(column);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(columns),
            None => return None,
        }
    }
}

/// What stands up to the closing quote, and what comes after it.
fn quoted(mut rest: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut column = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        column.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                column.push('"');
                rest = more;
            }
            None => return Some((column.into(), after)),
        }
    }
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
        let json = json.unwrap();
        for csv in [
            "item,quantity,per_customer\nA-1,1,\nb,3,2\n",
            "item,quantity,per_customer\nA-1,1\nb,3,2\n\n \r\n",
            "\"item\",\"quantity\",\"per_customer\"\n\"A-1\",\"1\",\"\"\n\"b\",\"3\",\"2\"",
        ] {
            assert_eq!(of(csv).unwrap(), json, "{csv}");
        }
    }

    #[test]
    fn the_line_that_is_wrong_is_named() {
        let json = |line: &str| format!("{{\"item\":\"A-1\",\"quantity\":1}}\n{line}\n");
        for (text, line, what) in [
            ("", None, "1 to 1000000 items"),
            ("item,quantity\n", None, "1 to 1000000 items"),
            ("A-1,1\n", Some(1), "item,quantity"),
            ("item,quantity\nA-1,1\nA-1,2\n", Some(3), "in line 2"),
            (
                "item,quantity\nA-1\n",
                Some(2),
                "line \"A-1\": must be 2 columns under the header item,quantity;",
            ),
            ("item,quantity\na,b,1\n", Some(2), "line \"a,b,1\": must be 2 columns"),
            ("item,quantity\nA-1,1\n\nB,1\n", Some(3), "only the end of the file may be blank"),
            ("item,quantity\n\"A-1\" ,1\n", Some(2), "quotes around a whole column"),
            ("item,quantity\n\"A-1,1\n", Some(2), "quotes around a whole column"),
            ("item,quantity\nA\"1,1\n", Some(2), "quotes around a whole column"),
            ("item,quantity\nA-1, 1\n", Some(2), "quantity \" 1\": must be"),
            ("item,quantity\nA-1,01\n", Some(2), "without spaces or leading zeros (limit_out_of_range)"),
            ("item,quantity\nA-1,-1\n", Some(2), "quantity"),
            ("item,quantity,limit\nA-1,1,2\n", Some(1), "item,quantity,per_customer"),
            ("item,quantity,per_customer\nA-1\n", Some(2), "must be 3 columns under the header"),
            ("item,quantity,per_customer\nA-1,1,2,3\n", Some(2), "line \"A-1,1,2,3\": must be 3 columns"),
            ("item,quantity,per_customer\nA-1,1,0\n", Some(2), "per_customer \"0\""),
            ("item,quantity,per_customer\nA-1,1,-1\n", Some(2), "per_customer \"-1\""),
            ("item,quantity,per_customer\nA-1,1,two\n", Some(2), "per_customer \"two\""),
            ("item,quantity,per_customer\nA-1,1,9007199254740992\n", Some(2), "to 9007199254740991"),
            (&json("{\"item\":\"B\",\"quantity\":1,\"per_customer\":0}"), Some(2), "per_customer \"0\""),
            (&json("{\"item\":\"B\",\"quantity\":1,\"per_customer\":\"2\"}"), Some(2), "per_customer"),
            (
                &json("{\"item\":\"B\",\"quantity\":1,\"per_customers\":2}"),
                Some(2),
                "did you mean `per_customer`? (unknown_field)",
            ),
            (&json("[]"), Some(2), "line \"[]\": must be one object a line"),
            (&json("{\"item\":\"B\",}"), Some(2), "trailing comma at line 1 column 13) (malformed_json)"),
            (&json("{}"), Some(2), "item: must be given (missing_field)"),
            (&json("{\"item\":\"B\"}"), Some(2), "quantity: must be given (missing_field)"),
            (&json("{\"item\":7,\"quantity\":1}"), Some(2), "item \"7\": must be a JSON string (wrong_type)"),
            (&json("{\"item\":\"B\",\"item\":\"B\",\"quantity\":1}"), Some(2), "given once (repeated_field)"),
            (&json("{\"item\":\"B\",\"quantity\":1.5}"), Some(2), "quantity"),
            (&json("{\"item\":\"\",\"quantity\":1}"), Some(2), "item"),
            (&json("{\"item\":\"B\",\"quantity\":1,\"price\":3}"), Some(2), "price \"3\": must be one of"),
            (&json("{\"item\":\"A-1\",\"quantity\":1}"), Some(2), "in line 1"),
        ] {
            let error = format!("{:#}", of(text).unwrap_err());
            assert!(error.contains(what), "{text:?}: {error}");
            assert_eq!(error.contains(": line "), line.is_some(), "{text:?}: {error}");
            assert!(line.is_none_or(|line| error.contains(&format!(": line {line}: "))), "{text:?}: {error}");
        }
    }
}
