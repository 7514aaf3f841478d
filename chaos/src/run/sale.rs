//! A request about what is on sale. Its JSON is its envelope, as docs/protocol.md has it, and names its command line.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An item and how many of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct OrderLine {
    pub(super) item: String,
    pub(super) quantity: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Sale {
    Purchase {
        inventory: String,
        customer: String,
        lines: Vec<OrderLine>,
    },
    Reserve {
        inventory: String,
        customer: String,
        lines: Vec<OrderLine>,
        hold_for_ms: u64,
    },
    Commit {
        inventory: String,
        reservation: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<Vec<OrderLine>>,
    },
    Release {
        inventory: String,
        reservation: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<Vec<OrderLine>>,
    },
    Extend {
        inventory: String,
        reservation: String,
        hold_for_ms: u64,
    },
    Return {
        inventory: String,
        order: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<Vec<OrderLine>>,
    },
    Exchange {
        inventory: String,
        order: String,
        from: String,
        to: String,
    },
}

impl Sale {
    /// Its kind and its fields, by name.
    pub(super) fn fields(&self) -> (String, serde_json::Map<String, Value>) {
        let Ok(Value::Object(mut fields)) = serde_json::to_value(self) else {
            return Default::default();
        };
        let kind = fields.remove("kind").and_then(|kind| kind.as_str().map(str::to_owned));
        (kind.unwrap_or_default(), fields)
    }

    /// The command and its options.
    pub(super) fn words(&self) -> Vec<String> {
        let (kind, fields) = self.fields();
        let mut words = vec![kind];
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("lines", Value::Array(lines)) => words.extend(lines.iter().flat_map(|line| {
                    let item = line["item"].as_str().unwrap_or_default();
                    ["--item".to_owned(), format!("{item}={}", line["quantity"])]
                })),
                ("hold_for_ms", value) => words.extend(["--hold-for".to_owned(), format!("{value}ms")]),
                (name, Value::String(text)) => words.extend([format!("--{name}"), text]),
                _ => {}
            }
        }
        words
    }

    /// Another request than this, about the same.
    pub(super) fn mutate(&mut self) {
        match self {
            Self::Purchase { lines, .. } | Self::Reserve { lines, .. } => {
                lines.iter_mut().take(1).for_each(|line| line.quantity += 1);
            }
            Self::Extend { hold_for_ms, .. } => *hold_for_ms += 1,
            _ => {}
        }
    }
}

/// The lines of an order in JSON, in one order.
pub(super) fn sorted(lines: Option<&Value>) -> Option<Vec<OrderLine>> {
    let mut lines: Vec<OrderLine> = serde_json::from_value(lines?.clone()).ok()?;
    lines.sort();
    Some(lines)
}

#[cfg(test)]
mod tests {
    use crate::run::history::{Job, Request};

    use super::*;

    #[test]
    fn its_json_is_its_envelope_and_comes_back() {
        let lines = vec![OrderLine { item: "A-1".to_owned(), quantity: 2 }];
        let (inventory, customer) = ("hall".to_owned(), "c".to_owned());
        let sale = Sale::Reserve { inventory, customer, lines, hold_for_ms: 5 };
        let words = "reserve --customer c --hold-for 5ms --inventory hall --item A-1=2";
        let mut typed = sale.words();
        typed[1..].sort();
        let mut expected: Vec<&str> = words.split(' ').collect();
        expected[1..].sort_unstable();
        assert_eq!(typed, expected);
        let job = Job { id: "j".to_owned(), request: Request::Sale(sale) };
        let text = serde_json::to_string(&job).unwrap();
        assert!(text.contains(r#""kind":"reserve""#), "{text}");
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
    }
}
