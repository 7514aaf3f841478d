//! Reconciliation: the journal's payouts against the gateway's own list, the only witness from outside.
//!
//! Memory is that of the payouts. Also while payouts are on their way: what the list says is compared with a journal
//! that is read after it, what the journal says with a list that is read after that; an attempt is in the journal
//! before the gateway hears of it, and at the gateway before the journal says that it paid.

mod books;
mod error;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use tollgate::Tollgate;
use tollgate::amount::money;
use tollgate::code::Code;

use super::report::{Check, Findings, Reconciled, Report, Sums};
pub use error::ReconcileError;

use books::{Bank, Journal, Known, Ours, Payment, PayoutName};

/// Reads the gateway's list at `path` and forgets it: what is wrong with it is known before anything long begins.
///
/// # Errors
/// The file is no such list as [`reconcile`] takes.
pub async fn check_ledger(path: &Path) -> Result<(), ReconcileError> {
    books::read_ledger(path).await.map(drop)
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
    let earlier = books::read_ledger(path).await?;
    let journal = books::read_journal(tollgate, &mut link).await?;
    let bank = earlier.of(&journal, tollgate.namespace());
    let later = books::read_ledger(path).await?.of(&journal, tollgate.namespace());

    let mut comparison = Comparison { findings, reconciled: Reconciled::default(), sums: BTreeMap::new() };
    comparison.reconciled.others = bank.others;
    for stray in &bank.unknown {
        comparison.stray(stray);
    }
    for (name, known) in &bank.payouts {
        if let Some(payout) = journal.payouts.get(name) {
            comparison.listed(name, known, payout);
        }
    }
    for (name, payout) in &journal.payouts {
        comparison.posted(name, payout, &bank, &later);
    }
    comparison.shared_keys(&journal);
    comparison.sums();
    Ok(comparison.finish())
}

/// What both books have said so far.
struct Comparison<'a> {
    findings: &'a mut Findings,
    reconciled: Reconciled,
    /// By currency.
    sums: BTreeMap<String, Sums>,
}

impl Comparison<'_> {
    fn sum(&mut self, currency: &str) -> &mut Sums {
        let empty = || Sums { currency: currency.to_owned(), ..Sums::default() };
        self.sums.entry(currency.to_owned()).or_insert_with(empty)
    }

    fn violation(
        &mut self,
        name: &PayoutName,
        payout: Option<&Ours>,
        expected: &str,
        found: &str,
        what: &str,
    ) {
        self.findings.enter(payout.map_or(0, |payout| payout.partition.number()));
        let seqs = payout.map_or(&[][..], |payout| &payout.seqs);
        let resource = format!("payout:{}", name.id);
        let what = format!("{what} (account {})", name.account);
        self.findings.violation(Check::G28, resource, seqs, expected, found, what);
    }

    /// A payment that belongs to no payout of ours.
    fn stray(&mut self, payment: &Payment) {
        self.reconciled.paid_by_bank += 1;
        self.sum(&payment.currency).paid_by_bank += u128::from(payment.amount);
        let found = payment.to_string();
        self.violation(&payment.name(), None, "nothing", &found, "the bank paid what nobody asked for");
    }

    /// What the bank has paid of one payout.
    fn listed(&mut self, name: &PayoutName, known: &Known, payout: &Ours) {
        let times = known.paid.len() as u64;
        if times == 0 {
            return;
        }
        self.reconciled.paid_by_bank += 1;
        self.reconciled.paid_again += times - 1;
        for payment in &known.paid {
            self.sum(&payment.currency).paid_by_bank += u128::from(payment.amount);
        }
        if times > 1 {
            let found = format!("{times} payments");
            self.violation(name, Some(payout), "1 payment", &found, "the bank paid it more than once");
        }
        if let Some(other) = known.paid.iter().find(|payment| !payment.is_of(&payout.terms)) {
            let (expected, found) = (payout.terms.to_string(), other.to_string());
            self.violation(name, Some(payout), &expected, &found, "the bank paid something else");
        }
        let keys = known.paid.iter().filter_map(|payment| payment.key.as_ref());
        if let Some(key) = keys.filter(|_| payout.has_begun()).find(|key| !payout.keys.contains(*key)) {
            let expected = payout.keys.iter().cloned().collect::<Vec<_>>().join(" or ");
            self.violation(name, Some(payout), &expected, key, "the bank paid it under another key");
        }
        let (expected, what) = match payout.code {
            Code::Paid => return,
            Code::Paying | Code::NeedsReview => {
                self.reconciled.open += 1;
                for payment in &known.paid {
                    self.sum(&payment.currency).open += u128::from(payment.amount);
                }
                return;
            }
            Code::Held if payout.has_begun() => {
                ("an attempt", "the bank paid an attempt that was recorded as never sent")
            }
            Code::Held => ("an attempt", "the bank paid before an attempt was recorded"),
            _ => ("paid or needs_review", "given back although the bank paid"),
        };
        self.violation(name, Some(payout), expected, payout.code.name(), what);
    }

    /// What we have posted must be in the bank's book too, whoever posted it.
    fn posted(&mut self, name: &PayoutName, payout: &Ours, bank: &Bank, later: &Bank) {
        let Some(poster) = &payout.posted_by else { return };
        let terms = &payout.terms;
        self.sum(&terms.currency).posted += u128::from(terms.amount);
        let paid = |bank: &Bank| bank.payouts.get(name).map_or(0, |known| known.paid.len());
        if paid(bank) > 0 {
            return;
        }
        if let Some(known) = later.payouts.get(name).filter(|known| !known.paid.is_empty()) {
            // Paid and posted since the first look: what the second one says counts.
            for payment in &known.paid {
                self.sum(&payment.currency).paid_by_bank += u128::from(payment.amount);
            }
            return;
        }
        let refused = later.payouts.get(name).is_some_and(|known| known.refused);
        let bank_says = if refused { "the bank refused it" } else { "the bank does not list it" };
        let posted = money(u128::from(terms.amount), &terms.currency);
        self.violation(
            name,
            Some(payout),
            &format!("{posted} paid by the bank"),
            &format!(
                "{} paid by the bank ({bank_says}), {posted} posted by {poster}",
                money(0, &terms.currency)
            ),
            "posted, but the bank never paid it",
        );
    }

    /// Two payouts under one key are one payout to the bank.
    fn shared_keys(&mut self, journal: &Journal) {
        let mut first: HashMap<(&str, &str), &PayoutName> = HashMap::new();
        for (name, payout) in &journal.payouts {
            for key in &payout.keys {
                let other = *first.entry((&payout.gateway, key)).or_insert(name);
                if other != name {
                    let found = format!("{key}, as {} of account {}", other.id, other.account);
                    let what = "its key is another payout's as well: the bank pays one of them";
                    self.violation(name, Some(payout), "a key of its own", &found, what);
                }
            }
        }
    }

    /// Both books in sum, always: also what no single line explains shows here.
    fn sums(&mut self) {
        for sums in self.sums.values() {
            let Sums { currency, paid_by_bank, posted, open } = sums;
            if *paid_by_bank != posted + open {
                self.findings.enter(0);
                self.findings.violation(
                    Check::G28,
                    format!("payouts:{currency}"),
                    &[],
                    format!(
                        "{} with us ({} posted, {} open)",
                        money(posted + open, currency),
                        money(*posted, currency),
                        money(*open, currency)
                    ),
                    format!("{} paid by the bank", money(*paid_by_bank, currency)),
                    "the two books differ in sum",
                );
            }
        }
    }

    fn finish(self) -> Reconciled {
        Reconciled { sums: self.sums.into_values().collect(), ..self.reconciled }
    }
}
