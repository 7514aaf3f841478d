//! Reconciliation: the journal's payouts against the gateway's own list, the only witness from outside.
//!
//! Memory is that of the payouts. Also while payouts are on their way: what the list says is compared with a journal
//! that is read after it, what the journal says with a list that is read after that; an attempt is in the journal
//! before the gateway hears of it, and at the gateway before the journal says that it paid.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use crate::code::Code;
use crate::failure::Failure;
use crate::ids::JobId;
use crate::job::{PayoutStep, Request};
use crate::journal;
use crate::link::Link;
use crate::partition::Partition;
use crate::tollgate::Tollgate;

use super::report::{Check, Findings, Reconciled, Report};

/// Journal entries in one read.
const PAGE: usize = 200;

/// Why the gateway's list cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Redis did not answer.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The file cannot be read.
    #[error("the bank's ledger: {0}")]
    File(#[from] std::io::Error),
    /// A line of it is no payout.
    #[error("the bank's ledger, line {line}: {what}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

/// One line of the gateway's list.
#[derive(Debug, Deserialize)]
struct BankLine {
    outcome: String,
    id: String,
    account: String,
    amount: u64,
    currency: String,
    destination: String,
}

/// What the gateway says of one id.
struct Paid {
    times: u64,
    terms: Terms,
}

/// What is paid: account, amount, currency, destination.
type Terms = (String, u64, String, String);

/// What the journal says of one id.
struct Ours {
    partition: Partition,
    terms: Terms,
    code: Code,
    begun: bool,
    by_gateway: bool,
    seqs: Vec<u64>,
}

/// Compares the payouts of the whole namespace with the gateway's list at `path`: one JSON object a line, `{"key",
/// "outcome": "paid" | "refused", "id", "account", "amount", "currency", "destination"}`, amounts in minor units.
/// What is found joins `report`.
///
/// # Errors
/// If Redis does not answer, or the file is no such list; `report` is as it was then.
pub async fn reconcile(tollgate: &Tollgate, path: &Path, report: &mut Report) -> Result<(), ReconcileError> {
    let mut findings = Findings::default();
    let reconciled = compare(tollgate, path, &mut findings).await?;
    report.join_bank(reconciled, findings);
    Ok(())
}

async fn compare(
    tollgate: &Tollgate,
    path: &Path,
    findings: &mut Findings,
) -> Result<Reconciled, ReconcileError> {
    let mut link = tollgate.server().link().await?;
    let paid = read_ledger(path).await?;
    let ours = read_journal(tollgate, &mut link).await?;
    let paid_later = read_ledger(path).await?;

    let mut reconciled = Reconciled::default();
    for (id, bank) in &paid {
        reconciled.paid_by_bank += 1;
        reconciled.paid_again += bank.times - 1;
        reconciled.sum_paid_by_bank += u128::from(bank.terms.1) * u128::from(bank.times);
        judge_paid(id, bank, ours.get(id), findings, &mut reconciled);
    }
    for (id, payout) in ours.iter().filter(|(_, payout)| payout.code == Code::Paid) {
        reconciled.sum_posted += u128::from(payout.terms.1);
        if payout.by_gateway && !paid_later.contains_key(id) {
            findings.enter(payout.partition.number());
            let what = "posted on the gateway's word, but it does not list the payment";
            findings.violation(
                Check::G28,
                format!("payout:{id}"),
                &payout.seqs,
                "paid by the bank",
                "nothing",
                what,
            );
        }
    }
    Ok(reconciled)
}

fn judge_paid(
    id: &str,
    bank: &Paid,
    ours: Option<&Ours>,
    findings: &mut Findings,
    reconciled: &mut Reconciled,
) {
    let resource = format!("payout:{id}");
    let Some(payout) = ours else {
        findings.enter(0);
        let what = "the bank paid what nobody asked for";
        return findings.violation(Check::G28, resource, &[], "a payout of this id", "nothing", what);
    };
    findings.enter(payout.partition.number());
    let mut violation = |expected: String, found: String, what: &str| {
        findings.violation(Check::G28, resource.clone(), &payout.seqs, expected, found, what);
    };
    if bank.times > 1 {
        violation(
            "1 payment".to_owned(),
            format!("{} payments", bank.times),
            "the bank paid it more than once",
        );
    }
    if bank.terms != payout.terms {
        violation(format!("{:?}", payout.terms), format!("{:?}", bank.terms), "the bank paid something else");
    }
    if !payout.begun {
        violation("an attempt".to_owned(), "none".to_owned(), "the bank paid before an attempt was recorded");
    }
    match payout.code {
        Code::Paid => {}
        Code::Paying | Code::NeedsReview => reconciled.open += 1,
        code => violation(
            "paid or needs_review".to_owned(),
            code.to_string(),
            "given back although the bank paid",
        ),
    }
}

async fn read_ledger(path: &Path) -> Result<HashMap<String, Paid>, ReconcileError> {
    let text = tokio::fs::read_to_string(path).await?;
    // A line without an end is being written: it was not answered yet.
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let mut paid: HashMap<String, Paid> = HashMap::new();
    for (number, line) in whole.lines().enumerate() {
        let wrong = |what: String| ReconcileError::Line { line: number + 1, what };
        let line: BankLine = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        match line.outcome.as_str() {
            "refused" => {}
            "paid" => {
                let terms = (line.account, line.amount, line.currency, line.destination);
                paid.entry(line.id).or_insert(Paid { times: 0, terms }).times += 1;
            }
            other => return Err(wrong(format!("outcome {other:?}: must be paid or refused"))),
        }
    }
    Ok(paid)
}

async fn read_journal(tollgate: &Tollgate, link: &mut Link) -> Result<HashMap<String, Ours>, Failure> {
    let mut payouts = HashMap::new();
    for partition in tollgate.partitions().iter() {
        let mut seq = 1;
        // Damage in the journal is the audit's own finding; what can be read is compared.
        while let Ok(entries) = journal::read(link, tollgate.keys(partition), seq, PAGE).await? {
            let Some(last) = entries.last() else { break };
            seq = last.seq_last + 1;
            for line in entries.iter().flat_map(|entry| entry.lines().unwrap_or_default()) {
                take_line(&mut payouts, partition, line);
            }
        }
    }
    Ok(payouts)
}

fn take_line(payouts: &mut HashMap<String, Ours>, partition: Partition, line: journal::Line) {
    let journal::Line { seq, id, request, code, .. } = line;
    let known = |id: &JobId| id.as_str().to_owned();
    match request {
        Request::Payout { account, amount, currency, destination } if code == Code::Held => {
            let terms =
                (account.to_string(), amount.minor(), currency.code().to_owned(), destination.to_string());
            let ours = Ours { partition, terms, code, begun: false, by_gateway: false, seqs: vec![seq] };
            payouts.insert(known(&id), ours);
        }
        Request::PayoutStep { step, .. } => {
            if let Some(payout) = payouts.get_mut(id.as_str()) {
                payout.code = code;
                payout.seqs.push(seq);
                payout.begun |= code == Code::Paying;
                payout.by_gateway |= matches!(&step, PayoutStep::Post { source, .. } if source == "gateway");
            }
        }
        _ => {}
    }
}
