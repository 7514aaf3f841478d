//! The verdict on the end of one order: the audit, the journal's own replay of the chaos runs, the bank, and what
//! people were told.

use std::collections::BTreeMap;

use tollgate::Tollgate;
use tollgate::case::CaseState;
use tollgate::code::Code;
use tollgate::ids::{AccountId, CampaignId, CaseId, InventoryId, ItemId, JobId};
use tollgate::inventory::{self, InventoryState};
use tollgate::journal;
use tollgate::kinds::Event;
use tollgate::link::Link;
use tollgate::outcome::OutcomeClass;
use tollgate::partition::Partition;
use tollgate::quantity::Quantity;
use tollgate::resources::{self, AccountState, Held};
use tollgate_audit as audit;

use super::bank::Bank;
use super::scenario::{INVENTORY, Scenario, Word};

/// What is wrong; nothing if all is well.
pub(super) async fn judge(
    tollgate: &Tollgate,
    scenario: &Scenario,
    bank: &Bank,
    words: &[Word],
) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let report = audit::audit(tollgate, &[], &|_| ()).await?;
    wrong.extend(
        report.violations.iter().map(|found| format!("{:?} {}: {}", found.check, found.resource, found.what)),
    );

    let mut link = tollgate.server().link().await?;
    let partition = Partition::of("c", tollgate.partitions());
    let mut lines = Vec::new();
    for entry in journal::page(&mut link, tollgate.keys(partition), None, 1_000).await? {
        match entry.map(|entry| entry.lines()) {
            Ok(Ok(more)) => lines.extend(more),
            _ => wrong.push("the journal has an entry that cannot be read".to_owned()),
        }
    }
    wrong.extend(replayed(tollgate, &mut link, partition, scenario, &lines).await?);

    let steps = |line: &journal::Line| matches!(line.event, Event::Payout(_));
    let mut last: BTreeMap<&str, Code> = BTreeMap::new();
    for line in &lines {
        last.insert(line.id.as_str(), line.code);
    }
    for word in words {
        match word {
            Word::Enqueued(id) => {
                let known = tollgate.lookup(&[JobId::parse(*id)?]).await?;
                if known.iter().flatten().all(|outcome| outcome.class == OutcomeClass::NotDecided) {
                    wrong.push(format!("G10 {id} was told to be sent and is lost"));
                }
            }
            Word::Discarded(id) => {
                if lines.iter().any(|line| line.id.as_str() == *id && !steps(line)) {
                    wrong.push(format!("G11 {id} was discarded and is decided all the same"));
                }
            }
            Word::Cancelled(id) => {
                let of_it: Vec<Code> =
                    lines.iter().filter(|line| line.id.as_str() == *id).map(|line| line.code).collect();
                if of_it != [Code::Cancelled] {
                    wrong.push(format!("G11 {id} was cancelled, and the journal says {of_it:?}"));
                }
            }
        }
    }
    // What was there at the beginning was sent.
    for id in scenario
        .jobs
        .iter()
        .filter_map(|text| scenario.ids.iter().find(|id| text.contains(&format!("\"{id}\""))))
    {
        let discarded = words.contains(&Word::Discarded(id));
        let known = tollgate.lookup(&[JobId::parse(*id)?]).await?;
        if !discarded && known.iter().flatten().all(|outcome| outcome.class == OutcomeClass::NotDecided) {
            wrong.push(format!("G10 {id} was sent and is lost"));
        }
    }
    for (id, code) in scenario.must {
        if last.get(id).is_some_and(|last| last.name() != *code) {
            wrong.push(format!("G15 {id} must be {code}, and the journal says {:?}", last.get(id)));
        }
    }
    wrong.extend(paid(bank, &last));
    Ok(wrong)
}

/// What the bank paid against what the journal says of it.
fn paid(bank: &Bank, last: &BTreeMap<&str, Code>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for payment in bank.paid.values() {
        let id = serde_json::from_str::<serde_json::Value>(payment)
            .ok()
            .and_then(|payment| Some(payment["id"].as_str()?.to_owned()));
        *times.entry(id.unwrap_or_default()).or_default() += 1;
    }
    for (id, times) in &times {
        if *times > 1 {
            wrong.push(format!("G28 {id} was paid {times} times"));
        }
        match last.get(id.as_str()) {
            Some(Code::Paid | Code::Paying | Code::Held | Code::NeedsReview) => {}
            other => wrong.push(format!("G28 the bank has paid {id}, and the journal says {other:?}")),
        }
    }
    for (id, _) in last.iter().filter(|(_, code)| **code == Code::Paid) {
        if !times.contains_key(*id) {
            wrong.push(format!("G28 {id} is paid by the journal, and not by the bank"));
        }
    }
    wrong
}

/// The checkers of the chaos runs over the journal: written from the guarantees, and sharing nothing with the audit.
async fn replayed(
    tollgate: &Tollgate,
    link: &mut Link,
    partition: Partition,
    scenario: &Scenario,
    lines: &[journal::Line],
) -> anyhow::Result<Vec<String>> {
    let keys = tollgate.keys(partition);
    let exported = lines.iter().map(|line| serde_json::to_value(journal::ExportLine::of(partition, line)));
    let exported = exported.collect::<Result<_, _>>()?;
    let (mut campaigns, mut accounts) = (Vec::new(), Vec::new());
    for name in ["c", "new"] {
        let mut command = redis::Cmd::new();
        command.arg("HMGET").arg(keys.campaign(&CampaignId::parse(name)?)).arg(&["limit", "issued"]);
        let [limit, issued]: [Option<u64>; 2] = link.query(&command).await?;
        if let (Some(limit), Some(issued)) = (limit, issued) {
            campaigns.push(serde_json::json!({ "campaign": name, "limit": limit, "issued": issued }));
        }
    }
    let account = AccountId::parse("a")?;
    let states = resources::read::<AccountState>(link, keys, std::slice::from_ref(&account)).await?;
    if let Some(state) = states.iter().find_map(Held::state) {
        let (available, held) = (state.available.minor(), state.held.minor());
        accounts.push(serde_json::json!({ "account": "a", "available": available, "held": held }));
    }
    let case = CaseId::parse("l")?;
    let states = resources::read::<CaseState>(link, keys, std::slice::from_ref(&case)).await?;
    let cases = states.iter().filter_map(Held::state).map(|CaseState { version, word, seq, .. }| {
        let (decision, by) =
            word.as_ref().map(|word| (word.decision.to_string(), word.by.to_string())).unzip();
        let decided_seq = word.as_ref().map(|_| seq);
        serde_json::json!({
            "case": "l", "version": version.get(), "decision": decision, "by": by, "decided_seq": decided_seq,
        })
    });
    let cases: Vec<serde_json::Value> = cases.collect();
    let mut items = Vec::new();
    let inventory = InventoryId::parse(INVENTORY)?;
    let states = resources::read::<InventoryState>(link, keys, std::slice::from_ref(&inventory)).await?;
    if let Some(state) = states.iter().find_map(Held::state) {
        let names =
            scenario.stock.iter().map(|(name, ..)| ItemId::parse(*name)).collect::<Result<Vec<_>, _>>()?;
        let found = inventory::items(link, keys, (&inventory, state), &names).await?;
        for (name, item) in names.iter().zip(found) {
            let counts = item.map(|item| (item.on_hand, item.reserved)).unwrap_or_default();
            let most = item.and_then(|item| item.per_customer).map(Quantity::get);
            items.push(serde_json::json!({
                "item": name.as_str(), "on_hand": counts.0, "reserved": counts.1, "per_customer": most,
            }));
        }
    }
    let stock: BTreeMap<&str, u64> =
        scenario.stock.iter().map(|(name, number, _)| (*name, *number)).collect();
    let stocks = if stock.is_empty() { BTreeMap::new() } else { BTreeMap::from([(INVENTORY, stock)]) };
    let there = serde_json::json!({
        "campaigns": campaigns, "accounts": accounts, "cases": cases, "stocks": stocks, "items": items });
    crate::run::judge::replay(exported, there)
}
