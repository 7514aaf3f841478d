//! The model: campaigns and accounts as the journal makes them, and what `settle` must have decided.
//!
//! Pure, and written from the specification (design, sections 2 and 3), not from the scripts: it decides every line
//! again from its own state and the line's server time, and keeps no job and no customer, so that its memory is
//! that of the campaigns and accounts. What one customer holds is known only in sum (see
//! [`holders`](super::holders)): that `customer_limit_reached` was *due* it checks as far as that allows.

use std::collections::HashMap;

use crate::amount::NUMBER_MAX;
use crate::code::Code;
use crate::ids::{AccountId, CampaignId};
use crate::job::{CodesName, Request, Resource};
use crate::journal::Line;

/// The fields of a campaign's key, in the order of [`Campaign::fields`].
pub(super) const CAMPAIGN_FIELDS: [&str; 9] = [
    "limit",
    "issued",
    "per_customer",
    "opens_at_ms",
    "closes_at_ms",
    "status",
    "codes",
    "codes_count",
    "seq",
];
/// The fields of an account's key, in the order of [`Account::fields`].
pub(super) const ACCOUNT_FIELDS: [&str; 5] = ["available", "held", "currency", "status", "seq"];

/// Every resource that the journal has named with effect.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) campaigns: HashMap<CampaignId, Campaign>,
    pub(super) accounts: HashMap<AccountId, Account>,
}

/// A campaign after the lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Campaign {
    limit: u64,
    pub(super) issued: u64,
    pub(super) per_customer: Option<u64>,
    opens_at_ms: Option<u64>,
    closes_at_ms: Option<u64>,
    pub(super) codes: Option<CodesName>,
    pub(super) codes_count: u64,
    closed: bool,
    /// Of its last change.
    pub(super) seq: u64,
    /// Sum of quantity x weight of the customer over its redemptions, mod 2^128.
    pub(super) holders: u128,
    /// Its creation is not in the journal: nothing more can be said of it.
    pub(super) unknown: bool,
}

/// An account after the lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) available: u64,
    currency: &'static str,
    closed: bool,
    /// Of its last change.
    pub(super) seq: u64,
    /// Its opening is not in the journal: nothing more can be said of it.
    pub(super) unknown: bool,
}

fn digits(number: Option<u64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn status(closed: bool) -> String {
    if closed { "closed" } else { "open" }.to_owned()
}

impl Campaign {
    /// What its key must hold, in the order of [`CAMPAIGN_FIELDS`].
    pub(super) fn fields(&self) -> [String; 9] {
        [
            self.limit.to_string(),
            self.issued.to_string(),
            digits(self.per_customer),
            digits(self.opens_at_ms),
            digits(self.closes_at_ms),
            status(self.closed),
            self.codes.as_ref().map(|codes| codes.as_str().to_owned()).unwrap_or_default(),
            self.codes_count.to_string(),
            self.seq.to_string(),
        ]
    }
}

impl Account {
    /// What its key must hold, in the order of [`ACCOUNT_FIELDS`].
    pub(super) fn fields(&self) -> [String; 5] {
        let held = "0".to_owned();
        [
            self.available.to_string(),
            held,
            self.currency.to_owned(),
            status(self.closed),
            self.seq.to_string(),
        ]
    }
}

/// What a line must say, by the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) code: Code,
    /// The resource's state after it; `None` if there is no such resource.
    pub(super) after: Option<u64>,
    /// `customer_limit_reached` is possible as well: only who holds how much could tell.
    or_customer_limit: bool,
}

impl Decision {
    fn new(code: Code, after: Option<u64>) -> Self {
        Self { code, after, or_customer_limit: false }
    }

    /// Whether the line says so.
    fn agrees(&self, line: &Line, issued_before: Option<u64>) -> bool {
        (line.code == self.code && line.after == self.after)
            || (self.or_customer_limit
                && line.code == Code::CustomerLimitReached
                && line.after == issued_before)
    }
}

impl Model {
    /// Decides the line again and takes over what it says it did. Answers what it should have said, if it says
    /// something else; the model then goes on from what the line says, so that one wrong line is told once.
    pub(super) fn apply(&mut self, line: &Line, weight: impl FnOnce(&str) -> u128) -> Option<Decision> {
        let decision = self.decide(line);
        let before = match line.request.resource() {
            Resource::Campaign(id) => self.campaigns.get(id).map(|campaign| campaign.issued),
            Resource::Account(id) => self.accounts.get(id).map(|account| account.available),
        };
        let agrees = decision.is_none_or(|decision| decision.agrees(line, before));
        self.take_over(line, weight);
        if agrees { None } else { decision }
    }

    /// What `settle` must have answered; `None` where the journal does not tell enough.
    fn decide(&self, line: &Line) -> Option<Decision> {
        match line.request.resource() {
            Resource::Campaign(id) => match self.campaigns.get(id) {
                Some(campaign) if campaign.unknown => None,
                campaign => Some(decide_campaign(campaign, &line.request, line.at_ms)),
            },
            Resource::Account(id) => match self.accounts.get(id) {
                Some(account) if account.unknown => None,
                account => Some(decide_account(account, &line.request)),
            },
        }
    }

    fn take_over(&mut self, line: &Line, weight: impl FnOnce(&str) -> u128) {
        let Line { seq, code, after, ref request, .. } = *line;
        let after = after.unwrap_or_default();
        match (request, code) {
            (Request::CampaignCreate(terms), Code::CampaignCreated) => {
                let campaign = Campaign {
                    limit: terms.limit.get(),
                    issued: after,
                    per_customer: terms.per_customer.map(|most| most.get()),
                    opens_at_ms: terms.window.opens_at().map(|at| at.ms()),
                    closes_at_ms: terms.window.closes_at().map(|at| at.ms()),
                    codes_count: if terms.codes.is_some() { terms.limit.get() } else { 0 },
                    codes: terms.codes.clone(),
                    seq,
                    ..Campaign::default()
                };
                self.campaigns.insert(terms.campaign.clone(), campaign);
            }
            (Request::Redeem { campaign, customer, quantity }, Code::Redeemed) => {
                let campaign = self.campaign(campaign);
                campaign.issued = after;
                campaign.seq = seq;
                let share = u128::from(quantity.get()).wrapping_mul(weight(customer.as_str()));
                campaign.holders = campaign.holders.wrapping_add(share);
            }
            (Request::CampaignSetLimit { campaign, limit, .. }, Code::LimitSet) => {
                let campaign = self.campaign(campaign);
                campaign.limit = limit.get();
                campaign.issued = after;
                campaign.seq = seq;
            }
            (Request::CampaignClose { campaign }, Code::CampaignClosedNow) => {
                let campaign = self.campaign(campaign);
                campaign.closed = true;
                campaign.issued = after;
                campaign.seq = seq;
            }
            (Request::AccountOpen { account, currency, .. }, Code::AccountOpened) => {
                let currency = currency.code();
                let opened = Account { available: after, currency, seq, ..Account::default() };
                self.accounts.insert(account.clone(), opened);
            }
            (Request::Withdraw { account, .. }, Code::Withdrawn)
            | (Request::Deposit { account, .. }, Code::Deposited) => {
                let account = self.account(account);
                account.available = after;
                account.seq = seq;
            }
            (Request::AccountClose { account }, Code::AccountClosedNow) => {
                let account = self.account(account);
                account.closed = true;
                account.available = after;
                account.seq = seq;
            }
            _ => {}
        }
    }

    /// The campaign, or a stand-in for one whose creation the journal does not have.
    fn campaign(&mut self, id: &CampaignId) -> &mut Campaign {
        let unknown = || Campaign { unknown: true, ..Campaign::default() };
        self.campaigns.entry(id.clone()).or_insert_with(unknown)
    }

    fn account(&mut self, id: &AccountId) -> &mut Account {
        self.accounts.entry(id.clone()).or_insert_with(|| Account { unknown: true, ..Account::default() })
    }
}

fn decide_campaign(campaign: Option<&Campaign>, request: &Request, at_ms: u64) -> Decision {
    let Some(campaign) = campaign else {
        return match request {
            Request::CampaignCreate(_) => Decision::new(Code::CampaignCreated, Some(0)),
            _ => Decision::new(Code::CampaignNotFound, None),
        };
    };
    let issued = campaign.issued;
    let refused = |code| Decision::new(code, Some(issued));
    match request {
        Request::CampaignCreate(_) => refused(Code::CampaignExists),
        Request::CampaignClose { .. } if campaign.closed => refused(Code::Ended),
        Request::CampaignClose { .. } => refused(Code::CampaignClosedNow),
        Request::CampaignSetLimit { limit, expected, .. } => {
            refused(if expected.is_some_and(|expected| expected.get() != campaign.limit) {
                Code::LimitNotAsExpected
            } else if limit.get() < issued {
                Code::LimitBelowIssued
            } else if campaign.codes.is_some() && limit.get() > campaign.codes_count {
                Code::LimitAboveCodes
            } else {
                Code::LimitSet
            })
        }
        Request::Redeem { quantity, .. } => {
            let quantity = quantity.get();
            let sum = issued.saturating_add(quantity);
            if campaign.codes.is_some() && quantity != 1 {
                refused(Code::QuantityOutOfRange)
            } else if campaign.closed || campaign.closes_at_ms.is_some_and(|closes| at_ms >= closes) {
                refused(Code::Ended)
            } else if campaign.opens_at_ms.is_some_and(|opens| at_ms < opens) {
                refused(Code::NotStarted)
            } else if sum > campaign.limit {
                refused(Code::CampaignLimitReached)
            } else if campaign.per_customer.is_some_and(|most| quantity > most) {
                refused(Code::CustomerLimitReached)
            } else {
                // Nobody can hold more than was issued.
                let or_customer_limit = campaign.per_customer.is_some_and(|most| sum > most);
                Decision { code: Code::Redeemed, after: Some(sum), or_customer_limit }
            }
        }
        // Requests for accounts do not come here: the resource says where a line goes.
        _ => refused(Code::CorruptState),
    }
}

fn decide_account(account: Option<&Account>, request: &Request) -> Decision {
    let Some(account) = account else {
        return match request {
            Request::AccountOpen { balance, .. } => Decision::new(Code::AccountOpened, Some(balance.minor())),
            _ => Decision::new(Code::AccountNotFound, None),
        };
    };
    let available = account.available;
    let refused = |code| Decision::new(code, Some(available));
    match request {
        Request::AccountOpen { .. } => refused(Code::AccountExists),
        // An amount of nothing is never decided.
        Request::Withdraw { amount, .. } | Request::Deposit { amount, .. } if amount.minor() == 0 => {
            refused(Code::AmountZero)
        }
        _ if account.closed => refused(Code::AccountClosed),
        Request::AccountClose { .. } if available > 0 => refused(Code::AccountNotEmpty),
        Request::AccountClose { .. } => refused(Code::AccountClosedNow),
        Request::Withdraw { currency, .. } | Request::Deposit { currency, .. }
            if currency.code() != account.currency =>
        {
            refused(Code::CurrencyMismatch)
        }
        Request::Withdraw { amount, .. } => match available.checked_sub(amount.minor()) {
            Some(rest) => Decision::new(Code::Withdrawn, Some(rest)),
            None => refused(Code::InsufficientFunds),
        },
        Request::Deposit { amount, .. } => match available.saturating_add(amount.minor()) {
            more if more <= NUMBER_MAX => Decision::new(Code::Deposited, Some(more)),
            _ => refused(Code::BalanceLimitReached),
        },
        _ => refused(Code::CorruptState),
    }
}
