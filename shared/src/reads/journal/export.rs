//! A journal line as JSON: what `journal export` prints, one object a line.
//!
//! A contract (`docs/cli-json.md`): fields are only ever added. Amounts are integers in minor units.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::line::Line;
use crate::protocol::item_counts;
use crate::protocol::kinds::{Fields, Json};
use crate::protocol::lines::Lines;
use crate::protocol::options::Options;
use crate::protocol::partition::Partition;

/// One decided job: what every line has, the fields of its kind under their own names (a time as `<name>_ms`), and what the
/// decision left behind, under the names of the kind. What is absent is left out.
#[derive(Debug, Clone, Copy)]
pub struct ExportLine<'a> {
    partition: Partition,
    line: &'a Line,
}

impl<'a> ExportLine<'a> {
    /// The JSON form of `line`, which was decided in `partition`.
    pub fn of(partition: Partition, line: &'a Line) -> Self {
        Self { partition, line }
    }
}

impl Serialize for ExportLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Line { seq, at_ms, by, id, event, code, was, after, told: _ } = self.line;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("partition", &self.partition.number())?;
        map.serialize_entry("seq", seq)?;
        map.serialize_entry("at_ms", at_ms)?;
        match self.line.decided_by() {
            _ if by.is_empty() => {}
            None => map.serialize_entry("by", by)?,
            Some(decided_by) if decided_by == by.as_str() => {}
            Some(_) => map.serialize_entry("asked_by", by)?,
        }
        map.serialize_entry("id", id.as_str())?;
        map.serialize_entry("kind", event.kind().name())?;
        map.serialize_entry("class", code.class_of_decision().name())?;
        map.serialize_entry("code", code.name())?;
        let mut written = Ok(());
        event.each_field(&mut |field, text| {
            let (Some(text), Ok(())) = (text, &written) else { return };
            written = match (field.json, text.parse::<u64>()) {
                (Json::Number, Ok(number)) => map.serialize_entry(field.name, &number),
                (Json::Lines, _) => list(&mut map, field.name, Lines::json_of(&text)),
                (Json::Flag, _) => map.serialize_entry(field.name, &true),
                (Json::Options, _) => list(&mut map, field.name, Options::json_of(&text)),
                (Json::Time, Ok(number)) => map.serialize_entry(&format!("{}_ms", field.name), &number),
                _ => map.serialize_entry(field.name, &text),
            };
        });
        written?;
        if let (Some(name), Some(was)) = (event.kind().spec().was, was)
            && !was.is_empty()
        {
            map.serialize_entry(name, was)?;
        }
        for (name, number) in event.kind().spec().after.iter().zip(after) {
            map.serialize_entry(name, number)?;
        }
        for name in event.kind().spec().told {
            match (*name, self.line.told(name)) {
                (_, None) => {}
                ("held_by_item", Some(told)) => list(&mut map, name, item_counts::json_of(told))?,
                (_, Some(told)) => map.serialize_entry(name, told)?,
            }
        }
        map.end()
    }
}

/// A list that is JSON already.
fn list<M: SerializeMap>(map: &mut M, name: &str, json: String) -> Result<(), M::Error> {
    match RawValue::from_string(json) {
        Ok(json) => map.serialize_entry(name, &json),
        Err(_) => map.serialize_entry(name, &()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::partition::Partitions;

    #[test]
    fn a_line_has_the_fields_of_its_kind() {
        let first = Partitions::ONE.iter().next().unwrap();
        for (text, json) in [
            (
                "r1\tredeem\tredeemed\tsummer\tc42\t1\t2\t57",
                r#"{"partition":0,"seq":9,"at_ms":17,"id":"r1","kind":"redeem","class":"applied","code":"redeemed","campaign":"summer","customer":"c42","quantity":1,"held":2,"issued":57}"#,
            ),
            (
                "w1\twithdraw\taccount_not_found\ta1\t1250\tUSD\t",
                r#"{"partition":0,"seq":9,"at_ms":17,"id":"w1","kind":"withdraw","class":"refused","code":"account_not_found","account":"a1","amount":1250,"currency":"USD"}"#,
            ),
            (
                "p1\tpurchase\tpurchased\tshop\tc42\t{2 a \"b\"}{1 c}\t3\t7",
                r#"{"partition":0,"seq":9,"at_ms":17,"id":"p1","kind":"purchase","class":"applied","code":"purchased","inventory":"shop","customer":"c42","lines":[{"item":"a \"b\"","quantity":2},{"item":"c","quantity":1}],"held":3,"available":7}"#,
            ),
            (
                "p2\tpurchase\tcustomer_limit_reached\tshop\tc42\t{1 a}\t3\t7\t{2 a}",
                r#"{"partition":0,"seq":9,"at_ms":17,"id":"p2","kind":"purchase","class":"refused","code":"customer_limit_reached","inventory":"shop","customer":"c42","lines":[{"item":"a","quantity":1}],"held":3,"available":7,"held_by_item":[{"item":"a","held":2}]}"#,
            ),
            (
                "k1\tcommit\tcommitted\tshop\tr1\t\t3\t7\t17-19",
                r#"{"partition":0,"seq":9,"at_ms":17,"id":"k1","kind":"commit","class":"applied","code":"committed","inventory":"shop","reservation":"r1","held":3,"available":7,"tickets":"17-19"}"#,
            ),
            (
                "d1\tdecide\talready_decided\tloan\treject\tofficer-8\t\tlate\t1\t4",
                r#"{"partition":0,"seq":9,"at_ms":17,"id":"d1","kind":"decide","class":"refused","code":"already_decided","case":"loan","decision":"reject","by":"officer-8","reason":"late","version":1,"decided_seq":4}"#,
            ),
            (
                "create/case/loan\tcase_open\tcase_opened\tloan\tapprove,reject\t1",
                r#"{"partition":0,"seq":9,"at_ms":17,"by":"ann","id":"create/case/loan","kind":"case_open","class":"applied","code":"case_opened","case":"loan","options":["approve","reject"],"version":1}"#,
            ),
            (
                "create/account/a1\taccount_open\taccount_opened\ta1\t5\tUSD\t5",
                r#"{"partition":0,"seq":9,"at_ms":17,"by":"ann","id":"create/account/a1","kind":"account_open","class":"applied","code":"account_opened","account":"a1","balance":5,"currency":"USD","available":5}"#,
            ),
        ] {
            let by = if text.starts_with("create/") { "ann" } else { "" };
            let line = super::super::line::read_line(text, 9, 17, by).unwrap();
            assert_eq!(serde_json::to_string(&ExportLine::of(first, &line)).unwrap(), json);
        }
    }
}
