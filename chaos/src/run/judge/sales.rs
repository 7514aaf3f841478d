//! Checks 1, 9, 11 and 13 of inventories: the journal replayed against a sequential model of items, customers and orders,
//! written from the guarantees. No item is sold that is not there, an order gets all or nothing, what is reserved is
//! committed, given up or ended, once, and no order gives back more than it bought.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::finding::{Finding, Found};
use super::record::{Line, Record};

/// Items and how many of each.
type Lines = Vec<(String, u64)>;

#[derive(Default, Clone, Copy, PartialEq, Debug)]
struct Item {
    on_hand: u64,
    reserved: u64,
}

#[derive(Default)]
struct Order {
    customer: String,
    reserved: BTreeMap<String, u64>,
    sold: BTreeMap<String, u64>,
}

struct Sale {
    items: BTreeMap<String, Item>,
    customers: HashMap<String, u64>,
    /// Of items that have a limit of their own: what it is, and what each customer has of them.
    limits: BTreeMap<String, u64>,
    by_item: HashMap<(String, String), u64>,
    /// Every ticket that was handed out.
    tickets: BTreeSet<u64>,
    orders: HashMap<String, Order>,
    over_issue: Found,
    chain: Found,
    once: Found,
    exact: Found,
}

/// Each inventory of which it is known what it began with.
pub(super) fn check(record: &Record) -> Vec<Finding> {
    record.stocks.iter().flat_map(|(inventory, stock)| check_one(record, inventory, stock)).collect()
}

fn check_one(record: &Record, inventory: &str, stock: &BTreeMap<String, u64>) -> Vec<Finding> {
    let items = stock.iter().map(|(item, on_hand)| (item.clone(), Item { on_hand: *on_hand, reserved: 0 }));
    let mut sale = Sale {
        items: items.collect(),
        customers: HashMap::new(),
        limits: record
            .items
            .iter()
            .filter_map(|item| Some((item["item"].as_str()?.to_owned(), item["per_customer"].as_u64()?)))
            .collect(),
        by_item: HashMap::new(),
        tickets: BTreeSet::new(),
        orders: HashMap::new(),
        over_issue: Found::new(1, "G1 no item is sold that is not there"),
        chain: Found::new(9, "G9 the journal says what is left of an inventory"),
        once: Found::new(11, "G14 what is reserved or sold goes on once"),
        exact: Found::new(13, "G15 an order gets all it asks for, or nothing"),
    };
    for line in record.journal.iter().filter(|line| line.word("inventory") == Some(inventory)) {
        sale.take(line);
    }
    let there = record.items.iter().map(|item| {
        let number = |name: &str| item[name].as_u64().unwrap_or(u64::MAX);
        let found = Item { on_hand: number("on_hand"), reserved: number("reserved") };
        (item["item"].as_str().unwrap_or_default().to_owned(), found)
    });
    let there: BTreeMap<String, Item> = there.collect();
    for (item, by_replay) in &sale.items {
        if there.get(item) != Some(by_replay) {
            let what =
                format!("{inventory} has {:?} of {item}, by the journal {by_replay:?}", there.get(item));
            sale.over_issue.add(what, Vec::new());
        }
    }
    let Sale { over_issue, chain, once, exact, .. } = sale;
    [over_issue, chain, once, exact].into_iter().flat_map(Found::done).collect()
}

/// The lines of an order, as the journal's export has them; all of what is left if it names none.
fn lines(line: &Line, all: &BTreeMap<String, u64>) -> Lines {
    match line.rest.get("lines").and_then(Value::as_array) {
        Some(lines) => lines
            .iter()
            .map(|one| {
                let item = one["item"].as_str().unwrap_or_default().to_owned();
                (item, one["quantity"].as_u64().unwrap_or(1))
            })
            .collect(),
        None => all.iter().map(|(item, count)| (item.clone(), *count)).collect(),
    }
}

/// Takes so much from what there is; false if there is less.
fn take_from(all: &mut BTreeMap<String, u64>, lines: &Lines) -> bool {
    let fits = lines.iter().all(|(item, count)| all.get(item).is_some_and(|there| there >= count));
    for (item, count) in lines {
        let there = all.entry(item.clone()).or_default();
        *there = there.saturating_sub(*count);
    }
    all.retain(|_, count| *count > 0);
    fits
}

fn units(lines: &Lines) -> u64 {
    lines.iter().map(|(_, count)| count).sum()
}

impl Sale {
    fn take(&mut self, line: &Line) {
        let of = line.word("reservation").or(line.word("order")).unwrap_or(&line.id).to_owned();
        match (line.kind.as_str(), line.code.as_str()) {
            ("purchase" | "reserve", "purchased" | "reserved") => self.grant(line),
            ("purchase" | "reserve", "sold_out") => {
                let wished = lines(line, &BTreeMap::new());
                if wished.iter().all(|(item, count)| self.free(item) >= *count) {
                    self.exact.add(format!("{} is refused what is there", line.id), vec![line.place()]);
                }
                return;
            }
            ("commit", "committed") => self.moves(line, &of, |item, count| {
                item.reserved = item.reserved.saturating_sub(count);
                item.on_hand = item.on_hand.saturating_sub(count);
            }),
            ("release", "released") | ("expire", "reservation_expired") => {
                self.moves(line, &of, |item, count| item.reserved = item.reserved.saturating_sub(count));
            }
            ("return", "returned") => {
                self.moves(line, &of, |item, count| item.on_hand = item.on_hand.saturating_add(count));
            }
            ("exchange", "exchanged") => self.exchange(line, &of),
            ("extend", "extended") => {
                if self.orders.get(&of).is_none_or(|order| order.reserved.is_empty()) {
                    self.once.add(format!("{of} is extended, and not open"), vec![line.place()]);
                }
            }
            _ => return,
        }
        self.says(line, &of);
    }

    /// Takes over that a customer has so many more of an item, or fewer.
    fn count(&mut self, customer: &str, item: &str, more: i64, line: &Line) {
        let Some(most) = self.limits.get(item) else { return };
        let has = self.by_item.entry((customer.to_owned(), item.to_owned())).or_default();
        *has = has.saturating_add_signed(more);
        if more > 0 && *has > *most {
            let what = format!("{} gives {customer} {has} of {item}, of which {most} are allowed", line.id);
            self.over_issue.add(what, vec![line.place()]);
        }
    }

    fn free(&self, item: &str) -> u64 {
        self.items.get(item).map_or(0, |item| item.on_hand.saturating_sub(item.reserved))
    }

    fn grant(&mut self, line: &Line) {
        let wished = lines(line, &BTreeMap::new());
        let is_reserve = line.kind == "reserve";
        for (name, count) in &wished {
            if self.free(name) < *count {
                let what =
                    format!("{} got {count} of {name}, of which {} were left", line.id, self.free(name));
                self.over_issue.add(what, vec![line.place()]);
            }
            let item = self.items.entry(name.clone()).or_default();
            if is_reserve {
                item.reserved += count;
            } else {
                item.on_hand = item.on_hand.saturating_sub(*count);
            }
        }
        let customer = line.customer.clone().unwrap_or_default();
        *self.customers.entry(customer.clone()).or_default() += units(&wished);
        for (item, count) in &wished {
            self.count(&customer, item, *count as i64, line);
        }
        let all: BTreeMap<String, u64> = wished.into_iter().collect();
        let (reserved, sold) = if is_reserve { (all, BTreeMap::new()) } else { (BTreeMap::new(), all) };
        if self.orders.insert(line.id.clone(), Order { customer, reserved, sold }).is_some() {
            self.once.add(format!("{} is granted twice", line.id), vec![line.place()]);
        }
    }

    /// What is reserved is sold or given back, or what is sold is given back.
    fn moves(&mut self, line: &Line, of: &str, change: impl Fn(&mut Item, u64)) {
        let order = self.orders.entry(of.to_owned()).or_default();
        let from = if line.kind == "return" { &mut order.sold } else { &mut order.reserved };
        let meant = lines(line, from);
        if meant.is_empty() || !take_from(from, &meant) {
            let what = format!("{of} has not what {} takes of it: {meant:?}", line.id);
            self.once.add(what, vec![line.place()]);
        }
        if line.kind == "commit" {
            for (item, count) in &meant {
                *order.sold.entry(item.clone()).or_default() += count;
            }
        } else {
            let has = self.customers.entry(order.customer.clone()).or_default();
            *has = has.saturating_sub(units(&meant));
            let customer = order.customer.clone();
            for (item, count) in &meant {
                self.count(&customer, item, -(*count as i64), line);
            }
        }
        for (item, count) in &meant {
            change(self.items.entry(item.clone()).or_default(), *count);
        }
    }

    fn exchange(&mut self, line: &Line, of: &str) {
        let (from, to) = (line.from.clone().unwrap_or_default(), line.to.clone().unwrap_or_default());
        if self.free(&to) == 0 {
            self.over_issue.add(format!("{} got {to}, which was taken", line.id), vec![line.place()]);
        }
        let order = self.orders.entry(of.to_owned()).or_default();
        let is_reserved = order.reserved.contains_key(&from);
        let part = if is_reserved { &mut order.reserved } else { &mut order.sold };
        if !take_from(part, &vec![(from.clone(), 1)]) {
            self.once.add(format!("{of} has no {from} to give"), vec![line.place()]);
        }
        *part.entry(to.clone()).or_default() += 1;
        let customer = order.customer.clone();
        self.count(&customer, &from, -1, line);
        self.count(&customer, &to, 1, line);
        let mut change = |name: &str, is_more: bool| {
            let item = self.items.entry(name.to_owned()).or_default();
            match (is_reserved, is_more) {
                (true, true) => item.reserved += 1,
                (true, false) => item.reserved = item.reserved.saturating_sub(1),
                (false, true) => item.on_hand = item.on_hand.saturating_sub(1),
                (false, false) => item.on_hand += 1,
            }
        };
        change(&from, false);
        change(&to, true);
    }

    /// What the line says is left, and what its customer has.
    fn says(&mut self, line: &Line, of: &str) {
        let left: u64 = self.items.keys().map(|name| self.free(name)).sum();
        let customer = self.orders.get(of).map(|order| order.customer.clone()).unwrap_or_default();
        let has = self.customers.get(&customer).copied().unwrap_or_default();
        if (line.available, line.held) != (Some(left), Some(has)) {
            let what = format!(
                "{}: {:?} left and {customer} has {:?}, by replay {left} and {has}",
                line.id, line.available, line.held
            );
            self.chain.add(what, vec![line.place()]);
        }
        for range in line.word("tickets").into_iter().flat_map(|ranges| ranges.split(',')) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            for ticket in first.parse::<u64>().unwrap_or(0)..=last.parse().unwrap_or(0) {
                if !self.tickets.insert(ticket) {
                    self.over_issue
                        .add(format!("{} hands out ticket {ticket} again", line.id), vec![line.place()]);
                }
            }
        }
        for told in line.rest.get("held_by_item").and_then(Value::as_array).into_iter().flatten() {
            let item = told["item"].as_str().unwrap_or_default().to_owned();
            let has = self.by_item.get(&(customer.clone(), item.clone())).copied();
            if told["held"].as_u64() != has {
                let what =
                    format!("{}: {customer} has {} of {item}, by replay {has:?}", line.id, told["held"]);
                self.chain.add(what, vec![line.place()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(lines: &[&str], items: &str) -> Vec<String> {
        let about = r#""partition":0,"at_ms":1,"class":"applied","inventory":"i""#;
        let journal =
            lines.iter().enumerate().map(|(seq, line)| format!(r#"{{{about},"seq":{},{line}}}"#, seq + 1));
        let journal: Vec<Line> = journal.map(|line| serde_json::from_str(&line).unwrap()).collect();
        let stock = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 1)]);
        let record = Record {
            journal,
            stocks: BTreeMap::from([("i".to_owned(), stock)]),
            items: serde_json::from_str(items).unwrap(),
            ..Record::default()
        };
        check(&record).into_iter().map(|found| found.what).collect()
    }

    const BOUGHT: &str = r#""id":"o","kind":"purchase","code":"purchased","customer":"u","lines":[{"item":"a","quantity":1}],"held":1,"available":1"#;
    const LEFT: &str = r#"[{"item":"a","on_hand":0,"reserved":0},{"item":"b","on_hand":1,"reserved":0}]"#;

    #[test]
    fn what_cannot_be_is_named() {
        let back = |held: u64, available: u64| {
            format!(
                r#""id":"g{held}{available}","kind":"return","code":"returned","order":"o","held":{held},"available":{available}"#
            )
        };
        let all = r#"[{"item":"a","on_hand":1,"reserved":0},{"item":"b","on_hand":1,"reserved":0}]"#;
        assert_eq!(wrong(&[BOUGHT], LEFT), [""; 0]);
        assert_eq!(wrong(&[BOUGHT, &back(0, 2)], all), [""; 0]);
        let swap = r#""id":"x","kind":"exchange","code":"exchanged","order":"o","from":"a","to":"b","held":1,"available":1"#;
        let swapped = r#"[{"item":"a","on_hand":1,"reserved":0},{"item":"b","on_hand":0,"reserved":0}]"#;
        assert_eq!(wrong(&[BOUGHT, swap], swapped), [""; 0]);
        let with_ticket = |line: &str, tickets: &str| format!(r#"{line},"tickets":"{tickets}""#);
        let limited = r#"[{"item":"a","on_hand":0,"reserved":0,"per_customer":1},{"item":"b","on_hand":1,"reserved":0}]"#;
        let by_item = |told: &str| format!(r#"{BOUGHT},"held_by_item":[{told}]"#);
        assert_eq!(wrong(&[&by_item(r#"{"item":"a","held":1}"#)], limited), [""; 0]);
        let two = BOUGHT.replace(r#""quantity":1"#, r#""quantity":2"#);
        let other = BOUGHT.replace(r#""id":"o""#, r#""id":"p""#);
        for (lines, items, words) in [
            (vec![BOUGHT, &other], LEFT, "of which 0 were left"),
            (vec![BOUGHT, &back(0, 2), &back(0, 3)], all, "has not what"),
            (vec![BOUGHT], all, "by the journal"),
            (vec![BOUGHT, swap, swap], swapped, "which was taken"),
            (vec![&by_item("{\"item\":\"a\",\"held\":2}")], limited, "by replay Some(1)"),
            (vec![&by_item("{\"item\":\"b\",\"held\":1}")], limited, "by replay None"),
            (vec![&two], limited, "of which 1 are allowed"),
            (vec![&with_ticket(BOUGHT, "4-5"), &with_ticket(&other, "5")], LEFT, "ticket 5 again"),
        ] {
            let found = wrong(&lines, items);
            assert!(found.iter().any(|found| found.contains(words)), "{words}: {found:#?}");
        }
    }
}
