//! Checks 4 to 8 and 12: what clients were told, against the journal and against time.

use std::collections::HashMap;

use serde_json::Value;

use super::finding::{Finding, Found};
use super::record::{Line, Record};
use crate::run::history::{Event, Job, Request, Response};
use crate::run::sale::{Sale, sorted};

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let book = Book::of(record);
    [
        book.told(record),
        book.requests(record),
        book.not_applied(record),
        book.order(record),
        book.looked(record),
        book.parked(record),
    ]
    .into_iter()
    .flatten()
    .flat_map(Found::done)
    .collect()
}

/// The journal, by id and by place.
struct Book<'a> {
    /// The line that decided an id.
    decided: HashMap<&'a str, &'a Line>,
    /// Its last line: of a payout another one.
    last: HashMap<&'a str, &'a Line>,
    at: HashMap<(u64, u64), &'a Line>,
}

impl<'a> Book<'a> {
    fn of(record: &'a Record) -> Self {
        let (mut decided, mut last, mut at) = (HashMap::new(), HashMap::new(), HashMap::new());
        for line in &record.journal {
            if line.decides() {
                decided.entry(line.id.as_str()).or_insert(line);
            }
            last.insert(line.id.as_str(), line);
            at.insert((line.partition, line.seq), line);
        }
        Self { decided, last, at }
    }

    /// Every decided answer is in the journal as it was told, and always the same.
    fn told(&self, record: &Record) -> Vec<Found> {
        let mut same = Found::new(4, "G4 same id, same answer");
        let mut kept = Found::new(7, "G7 acknowledged means kept");
        for call in &record.calls {
            let Some((told_us, Response::Told { class, code, seq, partition, .. })) = &call.told else {
                continue;
            };
            let (Some(job), "applied" | "refused") = (call.jobs.first(), class.as_str()) else { continue };
            let may_be_lost = record.may_be_lost((call.sent_us, *told_us), *partition);
            let (Some(seq), false) = (seq, code == "id_mismatch" || may_be_lost) else { continue };
            let evidence = |line: Option<&&Line>| {
                let told = format!("told {class} {code} seq {seq} {}", record.around(*told_us));
                [Some(told), line.map(|line| line.place())].into_iter().flatten().collect::<Vec<_>>()
            };
            match self.decided.get(job.id.as_str()) {
                None => kept.add(format!("{} was told and is not in the journal", job.id), evidence(None)),
                line @ Some(decided) => {
                    let there = partition.and_then(|partition| self.at.get(&(partition, *seq)));
                    let there = there.or(if decided.seq == *seq { line } else { None });
                    if !there.is_some_and(|there| there.id == job.id && there.code == *code) {
                        same.add(format!("{} was told something else", job.id), evidence(line));
                    }
                }
            }
        }
        vec![same, kept]
    }

    /// What was decided was asked for, and another request under the same id was told so.
    fn requests(&self, record: &Record) -> Vec<Found> {
        let mut invented = Found::new(5, "G5 same id, other request: refused");
        let mut racing = Found::new(6, "G6 racing sends: one executes");
        for (id, line) in &self.decided {
            let Some(sends) = record.by_id.get(*id) else {
                invented.add(format!("nobody ever sent {id}"), vec![line.place()]);
                continue;
            };
            let asked = |job: &Job| is_line(&job.request, line);
            if !sends.iter().any(|(call, number)| asked(&record.calls[*call].jobs[*number])) {
                invented
                    .add(format!("{id} was decided with another request than was sent"), vec![line.place()]);
            }
        }
        for call in &record.calls {
            let Some((told_us, Response::Told { class, code, partition, .. })) = &call.told else { continue };
            let (Some(job), "applied" | "refused") = (call.jobs.first(), class.as_str()) else { continue };
            let Some(line) = self.decided.get(job.id.as_str()) else { continue };
            let mine = is_line(&job.request, line);
            let may_be_lost = record.may_be_lost((call.sent_us, *told_us), *partition);
            if mine == (code == "id_mismatch") && !may_be_lost {
                let what = format!(
                    "{} was told {code}, and the journal has {} request",
                    job.id,
                    if mine { "the same" } else { "another" }
                );
                racing.add(what, vec![line.place(), record.around(*told_us)]);
            }
        }
        vec![invented, racing]
    }

    /// What was certainly not applied is nowhere.
    fn not_applied(&self, record: &Record) -> Vec<Found> {
        let mut found = Found::new(8, "G8 every failure is classified");
        for (id, line) in &self.decided {
            let sends = record.by_id.get(*id).map(Vec::as_slice).unwrap_or_default();
            let denied = |(call, _): &(usize, usize)| {
                matches!(record.calls[*call].told, Some((_, Response::NotApplied { .. })))
            };
            if !sends.is_empty() && sends.iter().all(denied) {
                found.add(format!("{id} was told not_applied by all, and is decided"), vec![line.place()]);
            }
        }
        vec![found]
    }

    /// Whoever was told before another was sent comes before it in the journal, within a partition.
    fn order(&self, record: &Record) -> Vec<Found> {
        let mut found = Found::new(12, "G16 told before sent means decided before");
        if record.rollback_us().is_some() {
            return Vec::new();
        }
        let mut moments: Vec<(u64, Moment<'_>)> = Vec::new();
        for (id, sends) in &record.by_id {
            if let (Some(line), Some((first, _))) = (self.decided.get(id.as_str()), sends.first()) {
                moments.push((record.calls[*first].sent_us, Moment::Sent(line)));
            }
        }
        for call in &record.calls {
            if let Some((told_us, Response::Told { seq: Some(seq), code, .. })) = &call.told
                && let Some(line) = call.jobs.first().and_then(|job| self.decided.get(job.id.as_str()))
                && code != "id_mismatch"
                && line.seq == *seq
            {
                moments.push((*told_us, Moment::Told(line)));
            }
        }
        moments.sort_by_key(|(at_us, moment)| (*at_us, matches!(moment, Moment::Told(_))));
        let mut latest: HashMap<u64, &Line> = HashMap::new();
        for (at_us, moment) in moments {
            match moment {
                Moment::Told(line) => {
                    let before = latest.entry(line.partition).or_insert(line);
                    if before.seq < line.seq {
                        *before = line;
                    }
                }
                Moment::Sent(line) => {
                    if let Some(before) = latest.get(&line.partition).filter(|before| before.seq > line.seq) {
                        let what = format!("{} was sent after {} was told", line.id, before.id);
                        found.add(what, vec![before.place(), line.place(), record.around(at_us)]);
                    }
                }
            }
        }
        vec![found]
    }

    /// Whoever comes under the id of a parked job with another request is told so, and changes nothing.
    fn parked(&self, record: &Record) -> Vec<Found> {
        let mut found = Found::new(6, "G6 a parked id is taken by the same request alone");
        for entry in &record.entries {
            let Event::Parked { id } = &entry.event else { continue };
            let Some((first, _)) = record.by_id.get(id).and_then(|sends| sends.first()) else { continue };
            let parked = &record.calls[*first].jobs[0].request;
            if let Some(line) = self.decided.get(id.as_str())
                && !is_line(parked, line)
                && !record.may_be_lost((entry.at_us, entry.at_us), None)
            {
                found.add(
                    format!("{id} was parked, and another request took it"),
                    vec![line.place(), record.around(entry.at_us)],
                );
            }
        }
        vec![found]
    }

    /// `lookup` says of every id what the journal says, so every unknown is resolved.
    fn looked(&self, record: &Record) -> Vec<Found> {
        let mut found = Found::new(8, "G8 lookup resolves what was unknown");
        for looked in &record.lookups {
            let says = (looked.seq, looked.code.as_deref());
            let last = self.last.get(looked.id.as_str());
            let agrees = match last {
                Some(line) => says == (Some(line.seq), Some(line.code.as_str())),
                None => looked.seq.is_none() && !matches!(looked.class.as_str(), "applied" | "refused"),
            };
            if !agrees {
                let line = last.map_or("no line in the journal".to_owned(), |line| line.place());
                found.add(format!("lookup {} says {} {says:?}", looked.id, looked.class), vec![line]);
            }
        }
        vec![found]
    }
}

enum Moment<'a> {
    Sent(&'a Line),
    Told(&'a Line),
}

fn is_sale(sale: &Sale, line: &Line) -> bool {
    let (kind, fields) = sale.fields();
    let is = |(name, asked): (&String, &Value)| match (name.as_str(), asked) {
        ("lines", _) => true,
        (name, Value::String(text)) => line.word(name) == Some(text),
        (name, asked) => line.rest.get(name) == Some(asked),
    };
    line.kind == kind
        && fields.iter().all(is)
        && sorted(fields.get("lines")) == sorted(line.rest.get("lines"))
}

/// Whether a line is about this request.
fn is_line(request: &Request, line: &Line) -> bool {
    let is = |name: &Option<String>, word: &str| name.as_deref() == Some(word);
    match request {
        Request::Redeem { campaign, customer, quantity } => {
            line.kind == "redeem"
                && is(&line.campaign, campaign)
                && is(&line.customer, customer)
                && line.quantity.unwrap_or(1) == *quantity
        }
        Request::Withdraw { account, amount, destination } => {
            let kind = if destination.is_some() { "payout" } else { "withdraw" };
            line.kind == kind
                && is(&line.account, account)
                && line.amount == Some(*amount)
                && line.destination == *destination
        }
        Request::Deposit { account, amount } => {
            line.kind == "deposit" && is(&line.account, account) && line.amount == Some(*amount)
        }
        Request::Transfer { from, to, amount } => {
            line.kind == "transfer"
                && is(&line.from, from)
                && is(&line.to, to)
                && line.amount == Some(*amount)
        }
        Request::Refund { account, of, amount } => {
            line.kind == "refund"
                && is(&line.account, account)
                && is(&line.of, of)
                && line.amount == Some(*amount)
        }
        Request::Reverse { campaign, customer, quantity, of } => {
            line.kind == "reverse"
                && is(&line.campaign, campaign)
                && is(&line.customer, customer)
                && is(&line.of, of)
                && line.quantity.unwrap_or(1) == *quantity
        }
        Request::Decide { case, decision, by } => {
            line.kind == "decide" && is(&line.case, case) && is(&line.decision, decision) && is(&line.by, by)
        }
        Request::CaseOpen { case } => line.kind == "case_open" && is(&line.case, case),
        Request::SetLimit { campaign, limit } => {
            line.kind == "campaign_set_limit" && is(&line.campaign, campaign) && line.limit == Some(*limit)
        }
        Request::CloseCampaign { campaign } => line.kind == "campaign_close" && is(&line.campaign, campaign),
        Request::CampaignCreate { campaign, .. } => {
            line.kind == "campaign_create" && is(&line.campaign, campaign)
        }
        Request::AccountOpen { account, .. } => line.kind == "account_open" && is(&line.account, account),
        Request::InventoryCreate { inventory } => {
            line.kind == "inventory_create" && line.word("inventory") == Some(inventory)
        }
        Request::InventoryLoad { inventory } => {
            line.kind == "inventory_load" && line.word("inventory") == Some(inventory)
        }
        Request::Sale(sale) => is_sale(sale, line),
    }
}
