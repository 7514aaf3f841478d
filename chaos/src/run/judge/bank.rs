//! Check 17: the bank's own file against our journal.

use std::collections::HashMap;

use super::finding::{Finding, Found};
use super::record::{Line, Record};

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let mut found = Found::new(17, "G28 outside effects at most once");
    let mut last: HashMap<&str, &Line> = HashMap::new();
    let mut held: HashMap<&str, &Line> = HashMap::new();
    for line in record.journal.iter().filter(|line| line.kind.starts_with("payout")) {
        if line.kind == "payout" && line.code == "held" {
            held.insert(&line.id, line);
        }
        last.insert(&line.id, line);
    }
    let mut paid: HashMap<&str, u64> = HashMap::new();
    for bank in record.bank.iter().filter(|bank| bank.outcome == "paid") {
        *paid.entry(&bank.id).or_default() += 1;
        let Some(line) = last.get(bank.id.as_str()) else {
            found.add(format!("the bank paid {}, which our journal does not have", bank.id), Vec::new());
            continue;
        };
        if !matches!(line.code.as_str(), "paid" | "needs_review" | "paying") {
            found.add(
                format!("the bank paid {}, and with us it is {}", bank.id, line.code),
                vec![line.place()],
            );
        }
        if let Some(held) = held.get(bank.id.as_str())
            && (held.amount, held.account.as_deref()) != (Some(bank.amount), Some(bank.account.as_str()))
        {
            let what = format!("the bank paid {} from {} for {}", bank.amount, bank.account, bank.id);
            found.add(what, vec![held.place()]);
        }
    }
    for (id, times) in paid.iter().filter(|(_, times)| **times > 1) {
        found.add(format!("the bank paid {id} {times} times"), Vec::new());
    }
    for line in last.values().filter(|line| line.code == "paid" && !paid.contains_key(line.id.as_str())) {
        found.add(format!("{} is paid with us, and the bank has never paid it", line.id), vec![line.place()]);
    }
    found.done()
}
