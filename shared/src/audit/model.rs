//! The model: campaigns and accounts as the journal makes them, and what `settle` must have decided.
//!
//! Pure, and written from the specification (design, sections 2 and 3), not from the scripts: it decides every line
//! again from its own state and the line's server time, and keeps no job and no customer, so that its memory is
//! that of the campaigns and accounts. What one customer holds is known only in sum (see
//! [`holders`](super::holders)): that `customer_limit_reached` was *due* it checks as far as that allows.

use std::collections::HashMap;

use crate::amount::NUMBER_MAX;
use crate::code::Code;
use crate::fingerprint::Fingerprint;
use crate::ids::{AccountId, CampaignId, Destination, JobId};
use crate::job::{CodesName, PayoutStep, Request, Resource};
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

/// The fields of a hold's key that follow from the journal, in the order of [`Hold::fields`].
pub(super) const HOLD_FIELDS: [&str; 12] = [
    "account",
    "amount",
    "currency",
    "destination",
    "fingerprint",
    "state",
    "attempts",
    "refused",
    "fence",
    "first_begin_at_ms",
    "since_ms",
    "seq",
];

/// Every resource that the journal has named with effect.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) campaigns: HashMap<CampaignId, Campaign>,
    pub(super) accounts: HashMap<AccountId, Account>,
    /// Payouts that are open; their number is bounded by the money held.
    pub(super) holds: HashMap<JobId, Hold>,
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
    held: u64,
    currency: &'static str,
    closed: bool,
    /// Of its last change.
    pub(super) seq: u64,
    /// Its opening is not in the journal: nothing more can be said of it.
    pub(super) unknown: bool,
}

/// An open payout after the lines so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) account: AccountId,
    amount: u64,
    currency: &'static str,
    destination: Destination,
    /// Of the job: its receipt keeps it through all steps.
    pub(super) fingerprint: Fingerprint,
    /// `held`, `paying` or `needs_review`.
    pub(super) state: Code,
    attempts: u64,
    refused: u64,
    fence: u64,
    first_begin_at_ms: Option<u64>,
    since_ms: u64,
    /// Of its last change.
    pub(super) seq: u64,
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
        let held = self.held.to_string();
        [
            self.available.to_string(),
            held,
            self.currency.to_owned(),
            status(self.closed),
            self.seq.to_string(),
        ]
    }
}

impl Hold {
    /// What its key must hold, in the order of [`HOLD_FIELDS`].
    pub(super) fn fields(&self) -> [String; 12] {
        [
            self.account.to_string(),
            self.amount.to_string(),
            self.currency.to_owned(),
            self.destination.to_string(),
            self.fingerprint.to_string(),
            self.state.to_string(),
            self.attempts.to_string(),
            self.refused.to_string(),
            self.fence.to_string(),
            digits(self.first_begin_at_ms),
            self.since_ms.to_string(),
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
    /// This is possible as well, and then nothing changed: what would tell is not in the journal.
    or: Option<Code>,
}

impl Decision {
    fn new(code: Code, after: Option<u64>) -> Self {
        Self { code, after, or: None }
    }

    /// Whether the line says so.
    fn agrees(&self, line: &Line, before: Option<u64>) -> bool {
        (line.code == self.code && line.after == self.after)
            || (Some(line.code) == self.or && line.after == before)
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
                account => Some(match &line.request {
                    Request::PayoutStep { step, .. } => decide_step(account, self.holds.get(&line.id), step),
                    request => decide_account(account, request),
                }),
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
            (Request::Payout { account, amount, currency, destination }, Code::Held) => {
                let hold = Hold {
                    account: account.clone(),
                    amount: amount.minor(),
                    currency: currency.code(),
                    destination: destination.clone(),
                    fingerprint: Fingerprint::of(request),
                    state: Code::Held,
                    attempts: 0,
                    refused: 0,
                    fence: 0,
                    first_begin_at_ms: None,
                    since_ms: line.at_ms,
                    seq,
                };
                self.holds.insert(line.id.clone(), hold);
                let account = self.account(account);
                account.available = after;
                account.held = account.held.saturating_add(amount.minor());
                account.seq = seq;
            }
            (Request::PayoutStep { account, step }, _) => {
                self.take_over_step(line, account, step);
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

    fn take_over_step(&mut self, line: &Line, account: &AccountId, step: &PayoutStep) {
        match line.code {
            Code::Paying | Code::NeedsReview => {
                let Some(hold) = self.holds.get_mut(&line.id) else { return };
                match step {
                    PayoutStep::Begin { attempt, fence } => {
                        (hold.attempts, hold.fence) = (*attempt, *fence);
                        hold.first_begin_at_ms = hold.first_begin_at_ms.or(Some(line.at_ms));
                    }
                    PayoutStep::Refuse { .. } => hold.refused = hold.refused.saturating_add(1),
                    _ => {}
                }
                (hold.state, hold.since_ms, hold.seq) = (line.code, line.at_ms, line.seq);
            }
            Code::Paid | Code::PayoutRefused | Code::PayoutVoided => {
                let Some(hold) = self.holds.remove(&line.id) else { return };
                let account = self.account(account);
                account.held = account.held.saturating_sub(hold.amount);
                account.available = line.after.unwrap_or_default();
                account.seq = line.seq;
            }
            // Paid after the money had gone back: an alarm, but no change.
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
                // Nobody can hold more than was issued; who holds how much is not known here.
                let is_possible = campaign.per_customer.is_some_and(|most| sum > most);
                let or = is_possible.then_some(Code::CustomerLimitReached);
                Decision { code: Code::Redeemed, after: Some(sum), or }
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
        Request::Withdraw { amount, .. }
        | Request::Payout { amount, .. }
        | Request::Deposit { amount, .. }
            if amount.minor() == 0 =>
        {
            refused(Code::AmountZero)
        }
        _ if account.closed => refused(Code::AccountClosed),
        Request::AccountClose { .. } if available > 0 || account.held > 0 => refused(Code::AccountNotEmpty),
        Request::AccountClose { .. } => refused(Code::AccountClosedNow),
        Request::Withdraw { currency, .. }
        | Request::Payout { currency, .. }
        | Request::Deposit { currency, .. }
            if currency.code() != account.currency =>
        {
            refused(Code::CurrencyMismatch)
        }
        Request::Withdraw { amount, .. } | Request::Payout { amount, .. } => {
            let code = match request {
                Request::Payout { .. } => Code::Held,
                _ => Code::Withdrawn,
            };
            match available.checked_sub(amount.minor()) {
                Some(rest) => Decision::new(code, Some(rest)),
                None => refused(Code::InsufficientFunds),
            }
        }
        Request::Deposit { amount, .. } => {
            let more = available.saturating_add(amount.minor());
            if more.saturating_add(account.held) <= NUMBER_MAX {
                Decision::new(Code::Deposited, Some(more))
            } else {
                refused(Code::BalanceLimitReached)
            }
        }
        _ => refused(Code::CorruptState),
    }
}

/// A step of a payout. Leases and expiry are not in the journal: what they forbid is not seen here.
fn decide_step(account: Option<&Account>, hold: Option<&Hold>, step: &PayoutStep) -> Decision {
    let available = account.map(|account| account.available);
    let unchanged = |code| Decision::new(code, available);
    let Some(hold) = hold else {
        // It has ended, or never was. Only proof of payment is still written down then.
        return match step {
            PayoutStep::Post { source, .. } if source == "gateway" => unchanged(Code::PaidAfterVoid),
            _ => unchanged(Code::PayoutNotOpen),
        };
    };
    let returned = |code| Decision::new(code, available.map(|money| money.saturating_add(hold.amount)));
    match step {
        PayoutStep::Begin { .. } if hold.state == Code::NeedsReview => unchanged(Code::PayoutNotOpen),
        PayoutStep::Begin { attempt, fence } => {
            if (*attempt, *fence) == (hold.attempts, hold.fence) && hold.attempts > 0 {
                unchanged(Code::NeedsReview)
            } else if *attempt == hold.attempts + 1 && *fence > hold.fence {
                unchanged(Code::Paying)
            } else {
                unchanged(Code::Fenced)
            }
        }
        PayoutStep::Post { .. } => unchanged(Code::Paid),
        PayoutStep::Refuse { fence, .. } | PayoutStep::Review { fence, .. }
            if hold.state != Code::Paying || *fence != hold.fence =>
        {
            unchanged(Code::Fenced)
        }
        PayoutStep::Refuse { .. } if hold.refused + 1 == hold.attempts => returned(Code::PayoutRefused),
        PayoutStep::Refuse { .. } | PayoutStep::Review { .. } => unchanged(Code::NeedsReview),
        PayoutStep::Void { source, .. } if source == "expiry" && hold.attempts > 0 => {
            unchanged(Code::HoldNotExpired)
        }
        PayoutStep::Void { .. } => returned(Code::PayoutVoided),
    }
}
