//! The stories: what is scarce, who wants it, and what must hold afterwards. One file each.
//!
//! Each is put in the same terms, so that every cure can play it: a *record* holds a quantity, a *request* takes
//! from one record or several, all or nothing. A seat is a record with one in it; so is a customer's allowance of
//! one coupon, and so is the one decision that an application waits for.

mod atm;
mod coupon;
mod double_click;
mod loan;
mod stock;
mod ticket;

use clap::ValueEnum;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Which story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// $80 and $50 from an account of $100
    Atm,
    /// One ticket, many buyers
    Ticket,
    /// The first 100 customers of a thousand
    Coupon,
    /// One laptop, two carts, and orders of several items
    Stock,
    /// One officer approves, another rejects
    Loan,
    /// The same request sent twice
    DoubleClick,
}

/// A story in words, and how it is told in records and requests.
pub(super) struct Story {
    pub(super) name: &'static str,
    /// What happens, for whoever reads the report.
    pub(super) story: &'static str,
    /// What is scarce.
    pub(super) resource: &'static str,
    /// What must hold afterwards.
    pub(super) invariant: &'static str,
    /// How a record's quantity reads.
    pub(super) quantity: fn(i64) -> String,
    /// How an amount of it reads, and what is done with it.
    pub(super) amount: fn(i64) -> String,
    pub(super) given: &'static str,
    /// The story with two users.
    pub(super) duel: fn(&str) -> Round,
    /// The same with this many users at once.
    pub(super) crowd: fn(usize, &str, &mut ChaCha8Rng) -> Round,
}

impl Scenario {
    pub(super) const ALL: [Self; 6] =
        [Self::Atm, Self::Ticket, Self::Coupon, Self::Stock, Self::Loan, Self::DoubleClick];

    pub(super) fn story(self) -> &'static Story {
        match self {
            Self::Atm => &atm::STORY,
            Self::Ticket => &ticket::STORY,
            Self::Coupon => &coupon::STORY,
            Self::Stock => &stock::STORY,
            Self::Loan => &loan::STORY,
            Self::DoubleClick => &double_click::STORY,
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.story().name
    }
}

/// One play: fresh records, and the requests that race for them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Round {
    pub(super) records: Vec<Record>,
    pub(super) requests: Vec<Request>,
    /// After this many answers the story is told; a play whose time is up ends no earlier.
    pub(super) enough: usize,
}

/// Something of which there is so much.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// Unique over the whole run.
    pub(super) key: String,
    /// For people: `account 3`.
    pub(super) title: String,
    pub(super) quantity: i64,
    pub(super) role: Role,
}

/// What the record is to a system that has a notion of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Role {
    /// Money.
    Account,
    /// A number of things to give away.
    Campaign { per_customer: Option<i64> },
    /// What one customer may still have of a campaign.
    Allowance { campaign: usize, customer: String },
}

/// Somebody wants something.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// The same for the same click; what an idempotency key is made of.
    pub(super) id: String,
    /// Who asks.
    pub(super) customer: String,
    /// For people, as the head of a column: `withdraw $80.00`.
    pub(super) title: String,
    /// What the asker is told if it is granted: `is paid $80.00`.
    pub(super) granted: String,
    /// What it takes, each record once, in the order in which records are locked.
    pub(super) takes: Vec<Take>,
    /// What a lock for it is named after.
    pub(super) lock: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Take {
    /// Which record of the round.
    pub(super) record: usize,
    pub(super) amount: i64,
}

impl Round {
    fn record(&mut self, tag: &str, title: String, quantity: i64, role: Role) -> usize {
        let key = format!("{tag}-{}", title.replace(' ', "-"));
        self.records.push(Record { key, title, quantity, role });
        self.records.len() - 1
    }

    /// Adds a request, under an id of its own, that locks the first record it takes.
    fn request(&mut self, tag: &str, customer: String, title: String, granted: String, takes: Vec<Take>) {
        let id = format!("{tag}-request-{}", self.requests.len());
        let lock = takes.first().map_or_else(String::new, |take| self.records[take.record].key.clone());
        self.requests.push(Request { id, customer, title, granted, takes, lock });
        self.enough = self.requests.len();
    }

    /// What a request asks for, key by key.
    pub(super) fn wants<'a>(&'a self, request: &Request) -> Vec<(&'a str, i64)> {
        request.takes.iter().map(|take| (self.records[take.record].key.as_str(), take.amount)).collect()
    }
}

fn one_of(record: usize) -> Vec<Take> {
    vec![Take { record, amount: 1 }]
}

fn dollars(cents: i64) -> String {
    format!("${}.{:02}", cents / 100, cents % 100)
}
