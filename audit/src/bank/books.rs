//! The two books of a reconciliation, each as far as it can be read: the gateway's list, and the journal's payouts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use tollgate::Tollgate;
use tollgate::amount::money;
use tollgate::code::Code;
use tollgate::failure::Failure;
use tollgate::ids::Namespace;
use tollgate::journal;
use tollgate::kinds::{Event, Fields, JobRequest, Payout, PayoutEvent};
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::payout_key::KeyOwner;

use super::error::ReconcileError;

/// Journal entries in one read.
const PAGE: usize = 200;

/// What makes a payout one payout in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PayoutName {
    pub(super) account: String,
    pub(super) id: String,
}

/// One line of the gateway's list.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Payment {
    pub(super) key: Option<String>,
    outcome: PaymentState,
    id: String,
    account: String,
    pub(super) amount: u64,
    pub(super) currency: String,
    destination: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PaymentState {
    Paid,
    Refused,
}

/// What is to be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    account: String,
    pub(super) amount: u64,
    pub(super) currency: String,
    destination: String,
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, amount, currency, destination } = self;
        write!(f, "{} from {account} to {destination}", money(u128::from(*amount), currency))
    }
}

impl fmt::Display for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.terms().fmt(f)
    }
}

impl Payment {
    pub(super) fn name(&self) -> PayoutName {
        PayoutName { account: self.account.clone(), id: self.id.clone() }
    }

    fn terms(&self) -> Terms {
        let Self { account, amount, currency, destination, .. } = self.clone();
        Terms { account, amount, currency, destination }
    }

    pub(super) fn is_of(&self, terms: &Terms) -> bool {
        self.terms() == *terms
    }
}

/// The gateway's list, line by line.
pub(super) struct Ledger(Vec<Payment>);

/// The gateway's list, by payout of ours.
#[derive(Default)]
pub(super) struct Bank {
    pub(super) payouts: BTreeMap<PayoutName, Known>,
    /// Payments that belong to no payout of ours, although their key says that they should.
    pub(super) unknown: Vec<Payment>,
    /// Lines whose key belongs to another namespace.
    pub(super) others: u64,
}

/// What the gateway says of one payout.
#[derive(Default)]
pub(super) struct Known {
    pub(super) paid: Vec<Payment>,
    pub(super) refused: bool,
}

/// The payouts of the whole journal.
#[derive(Default)]
pub(super) struct Journal {
    pub(super) payouts: BTreeMap<PayoutName, Ours>,
    by_key: HashMap<String, PayoutName>,
}

/// What the journal says of one payout.
pub(super) struct Ours {
    pub(super) partition: Partition,
    pub(super) terms: Terms,
    /// The last word.
    pub(super) code: Code,
    /// The idempotency keys of its attempts, and the gateway of the latest.
    pub(super) keys: BTreeSet<String>,
    pub(super) gateway: String,
    /// Who says that it was paid, and in which words.
    pub(super) posted_by: Option<String>,
    pub(super) seqs: Vec<u64>,
}

impl Ours {
    /// Whether an attempt was recorded.
    pub(super) fn has_begun(&self) -> bool {
        !self.keys.is_empty()
    }
}

pub(super) async fn read_ledger(path: &Path) -> Result<Ledger, ReconcileError> {
    let text = tokio::fs::read_to_string(path).await.map_err(ReconcileError::File)?;
    // A line without an end is being written: it was not answered yet.
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let lines = whole.lines().enumerate().map(|(number, line)| {
        let wrong =
            |error: serde_json::Error| ReconcileError::Line { line: number + 1, what: error.to_string() };
        serde_json::from_str(line).map_err(wrong)
    });
    Ok(Ledger(lines.collect::<Result<_, _>>()?))
}

impl Ledger {
    /// Sorts the lines by payout.
    pub(super) fn of(self, journal: &Journal, namespace: &Namespace) -> Bank {
        let prefixes: BTreeSet<&str> =
            journal.by_key.keys().filter_map(|key| own_prefix(key, namespace)).collect();
        let mut bank = Bank::default();
        for line in self.0 {
            let name = line.name();
            let known = line.key.as_ref().and_then(|key| journal.by_key.get(key));
            let name = match known {
                Some(name) => name.clone(),
                None if line.key.as_ref().is_some_and(|key| is_of_others(key, namespace, &prefixes)) => {
                    bank.others += 1;
                    continue;
                }
                None if journal.payouts.contains_key(&name) => name,
                None => {
                    if line.outcome == PaymentState::Paid {
                        bank.unknown.push(line);
                    }
                    continue;
                }
            };
            let known = bank.payouts.entry(name).or_default();
            match line.outcome {
                PaymentState::Paid => known.paid.push(line),
                PaymentState::Refused => known.refused = true,
            }
        }
        bank
    }
}

/// The prefix of a key of this namespace.
fn own_prefix<'a>(key: &'a str, namespace: &Namespace) -> Option<&'a str> {
    match KeyOwner::of(key) {
        KeyOwner::Namespace { prefix, namespace: owner } if owner == namespace.as_str() => prefix,
        _ => None,
    }
}

/// Whether a key is of another namespace, or has a prefix that ours never had.
fn is_of_others(key: &str, namespace: &Namespace, prefixes: &BTreeSet<&str>) -> bool {
    match KeyOwner::of(key) {
        KeyOwner::Namespace { prefix, namespace: owner } => {
            owner != namespace.as_str() || prefix.is_some_and(|prefix| !prefixes.contains(prefix))
        }
        KeyOwner::Foreign => false,
    }
}

pub(super) async fn read_journal(tollgate: &Tollgate, link: &mut Link) -> Result<Journal, Failure> {
    let mut payouts = Journal::default();
    for partition in tollgate.partitions().iter() {
        let mut seq = 1;
        // Damage in the journal is the audit's own finding; what can be read is compared.
        while let Ok(entries) = journal::read(link, tollgate.keys(partition), seq, PAGE).await? {
            let Some(last) = entries.last() else { break };
            seq = last.seq_last + 1;
            for line in entries.iter().flat_map(|entry| entry.lines().unwrap_or_default()) {
                payouts.take(partition, line);
            }
        }
    }
    Ok(payouts)
}

impl Journal {
    fn take(&mut self, partition: Partition, line: journal::Line) {
        let journal::Line { seq, id, by, event, code, .. } = line;
        match event {
            Event::Job(JobRequest::Payout(Payout { account, amount, currency, destination }))
                if code == Code::Held =>
            {
                let name = PayoutName { account: account.to_string(), id: id.to_string() };
                let terms = Terms {
                    account: account.to_string(),
                    amount: amount.minor(),
                    currency: currency.code().to_owned(),
                    destination: destination.to_string(),
                };
                let (keys, gateway) = (BTreeSet::new(), String::new());
                let ours = Ours { partition, terms, code, keys, gateway, posted_by: None, seqs: vec![seq] };
                self.payouts.insert(name, ours);
            }
            Event::Payout(step) => {
                let account = step.resource().id().to_owned();
                let name = PayoutName { account, id: id.to_string() };
                let Some(payout) = self.payouts.get_mut(&name) else { return };
                payout.code = code;
                payout.seqs.push(seq);
                match step {
                    PayoutEvent::PayoutBegin(begin) => {
                        payout.gateway = begin.gateway;
                        payout.keys.insert(begin.idempotency_key.clone());
                        self.by_key.insert(begin.idempotency_key, name);
                    }
                    PayoutEvent::PayoutPost(post) if code == Code::Paid => {
                        payout.posted_by = Some(poster(&post.source, &by, &post.note));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// `the gateway's word (201)`, or `operator ann: seen in the list`.
fn poster(source: &str, by: &str, note: &str) -> String {
    match source {
        "gateway" => format!("the gateway's word ({note})"),
        source if by.is_empty() => format!("{source}: {note}"),
        source => format!("{source} {by}: {note}"),
    }
}
