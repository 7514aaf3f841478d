//! The terms in which each story is told.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A story in words, and how it is told in records and requests.
pub(in crate::race) struct Story {
    pub(in crate::race) name: &'static str,
    /// What happens, for whoever reads the report.
    pub(in crate::race) story: &'static str,
    /// What is scarce.
    pub(in crate::race) resource: &'static str,
    /// What must hold afterwards, and the numbers of the guarantees that promise it of Tollgate.
    pub(in crate::race) invariant: &'static str,
    pub(in crate::race) guarantees: &'static str,
    /// As which kind Tollgate plays it.
    pub(in crate::race) kind: &'static str,
    /// How a record's quantity reads.
    pub(in crate::race) quantity: fn(i64) -> String,
    /// How an amount of it reads, and what is done with it.
    pub(in crate::race) amount: fn(i64) -> String,
    pub(in crate::race) given: &'static str,
    /// The story with two users.
    pub(in crate::race) paused_holder: fn(&str) -> Round,
    /// The same with this many users at once.
    pub(in crate::race) crowd: fn(usize, &str, &mut ChaCha8Rng) -> Round,
}

/// One play: fresh records, and the requests that race for them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::race) struct Round {
    pub(in crate::race) records: Vec<Record>,
    pub(in crate::race) requests: Vec<Request>,
    /// After this many answers the story is told; a play whose time is up ends no earlier.
    pub(in crate::race) enough: usize,
}

/// Something of which there is so much.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::race) struct Record {
    /// Unique over the whole run.
    pub(in crate::race) key: String,
    /// For people: `account 3`.
    pub(in crate::race) title: String,
    pub(in crate::race) quantity: i64,
    pub(in crate::race) role: Role,
}

/// What the record is to a system that has a notion of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::race) enum Role {
    /// Money.
    Account,
    /// A number of things to give away.
    Campaign { per_customer: Option<i64> },
    /// Things on a shelf: all of a round that name one shelf may be in one order.
    Item { inventory: String },
    /// One decision that is to be made.
    Case,
    /// What one customer may still have of a campaign.
    Allowance { campaign: usize, customer: String },
}

/// Somebody wants something.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::race) struct Request {
    /// The same for the same click; what an idempotency key is made of.
    pub(in crate::race) id: String,
    /// Who asks.
    pub(in crate::race) customer: String,
    /// For people, as the head of a column: `withdraw $80.00`.
    pub(in crate::race) title: String,
    /// What the asker is told if it is granted: `is paid $80.00`.
    pub(in crate::race) granted: String,
    /// What it takes, each record once, in the order in which records are locked.
    pub(in crate::race) takes: Vec<Take>,
    /// What it decides, if that is what it takes.
    #[serde(default)]
    pub(in crate::race) decision: Option<String>,
    /// What a lock for it is named after.
    pub(in crate::race) lock: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::race) struct Take {
    /// Which record of the round.
    pub(in crate::race) record: usize,
    pub(in crate::race) amount: i64,
}

impl Round {
    pub(super) fn record(&mut self, tag: &str, title: String, quantity: i64, role: Role) -> usize {
        let key = format!("{tag}-{}", title.replace(' ', "-"));
        self.records.push(Record { key, title, quantity, role });
        self.records.len() - 1
    }

    /// Adds a request, under an id of its own, that locks the first record it takes.
    pub(super) fn request(
        &mut self,
        tag: &str,
        customer: String,
        title: String,
        granted: String,
        takes: Vec<Take>,
    ) {
        let id = format!("{tag}-request-{}", self.requests.len());
        let lock = takes.first().map_or_else(String::new, |take| self.records[take.record].key.clone());
        self.requests.push(Request { id, customer, title, granted, takes, decision: None, lock });
        self.enough = self.requests.len();
    }

    /// Adds a request that decides a record.
    pub(super) fn decision(&mut self, tag: &str, by: &str, decision: &str, granted: String, record: usize) {
        self.request(tag, by.to_owned(), format!("{by}: {decision}"), granted, one_of(record));
        if let Some(request) = self.requests.last_mut() {
            request.decision = Some(decision.to_owned());
        }
    }

    /// What a request asks for, key by key.
    pub(in crate::race) fn wants<'a>(&'a self, request: &Request) -> Vec<(&'a str, i64)> {
        request.takes.iter().map(|take| (self.records[take.record].key.as_str(), take.amount)).collect()
    }
}

pub(super) fn one_of(record: usize) -> Vec<Take> {
    vec![Take { record, amount: 1 }]
}

pub(super) fn dollars(cents: i64) -> String {
    format!("${}.{:02}", cents / 100, cents % 100)
}
