//! The model: campaigns, accounts, inventories, cases and open payouts as the journal makes them. What a line does to it is in
//! [`rules`](super::rules).
//!
//! Pure. It keeps no job and no customer, so that its memory is that of the campaigns and accounts. What one customer
//! holds is known only in sum (see [`holders`](super::holders)).

use std::collections::HashMap;

use tollgate::code::Code;
use tollgate::codes_name::CodesName;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{AccountId, CampaignId, CaseId, Destination, InventoryId, JobId};
use tollgate::journal::Line;
use tollgate::resource::Resource;

use super::case::Case;
use super::inventory::{Inventory, Items};
use super::order::Order;

/// The fields of a campaign's key, in the order of [`Campaign::fields`].
pub(super) const CAMPAIGN_FIELDS: [&str; 11] = [
    "limit",
    "issued",
    "per_customer",
    "opens_at_ms",
    "closes_at_ms",
    "status",
    "codes",
    "codes_count",
    "reversed",
    "returned",
    "seq",
];
/// The fields of an account's key, in the order of [`Account::fields`].
pub(super) const ACCOUNT_FIELDS: [&str; 5] = ["available", "held", "currency", "status", "seq"];

/// Every resource that the journal has named with effect.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) campaigns: HashMap<CampaignId, Campaign>,
    pub(super) accounts: HashMap<AccountId, Account>,
    pub(super) inventories: HashMap<InventoryId, Inventory>,
    pub(super) cases: HashMap<CaseId, Case>,
    /// What inventories are about to be loaded with: read before the line is taken over.
    pub(super) stocks: HashMap<InventoryId, Items>,
    /// The inventory of which all buyers and orders are kept.
    pub(super) kept: Option<InventoryId>,
    /// Reservations that are open; their number is bounded by what is reserved.
    pub(super) reservations: HashMap<JobId, Order>,
    /// Payouts that are open; their number is bounded by the money held.
    pub(super) holds: HashMap<JobId, Hold>,
    /// How much was given back of the jobs of which something was.
    pub(super) given_back: HashMap<JobId, u64>,
}

/// A campaign after the lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Campaign {
    pub(super) limit: u64,
    pub(super) issued: u64,
    pub(super) per_customer: Option<u64>,
    pub(super) opens_at_ms: Option<u64>,
    pub(super) closes_at_ms: Option<u64>,
    pub(super) codes: Option<CodesName>,
    pub(super) codes_count: u64,
    /// How much was reversed; not among what it has issued.
    pub(super) reversed: u64,
    /// The numbers of the codes that are handed out again, the next first.
    pub(super) returned: Vec<u64>,
    pub(super) closed: bool,
    /// Of its last change.
    pub(super) seq: u64,
    /// Sum over its lines of what the customer's count after each adds, less what the count before it did, mod 2^128.
    pub(super) holders: u128,
    /// Its creation is not in the journal: nothing more can be said of it.
    pub(super) unknown: bool,
}

/// An account after the lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) available: u64,
    pub(super) held: u64,
    /// Empty where its opening is not in the journal.
    pub(super) currency: &'static str,
    pub(super) closed: bool,
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
    /// The number of the code of the redemption that makes `issued` of it, where it is another.
    pub(super) fn code_number(&self, issued: u64) -> Option<u64> {
        let has_gaps = self.codes.is_some() && (self.reversed > 0 || !self.returned.is_empty());
        has_gaps.then(|| self.returned.first().copied().unwrap_or(issued.saturating_add(self.reversed)))
    }

    /// How much it may issue in all: no more than it has codes that were never handed out.
    pub(super) fn room(&self) -> u64 {
        match self.codes {
            Some(_) => self.limit.min(self.codes_count.saturating_sub(self.reversed)),
            None => self.limit,
        }
    }

    /// What its key must hold, in the order of [`CAMPAIGN_FIELDS`].
    pub(super) fn fields(&self) -> [String; 11] {
        [
            self.limit.to_string(),
            self.issued.to_string(),
            digits(self.per_customer),
            digits(self.opens_at_ms),
            digits(self.closes_at_ms),
            status(self.closed),
            self.codes.as_ref().map(|codes| codes.as_str().to_owned()).unwrap_or_default(),
            self.codes_count.to_string(),
            self.reversed.to_string(),
            self.returned.iter().map(u64::to_string).collect::<Vec<_>>().join(","),
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

/// The fields of a hold's key that follow from the journal, in the order of [`Hold::fields`].
pub(super) const HOLD_FIELDS: [&str; 14] = [
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
    "gateway",
    "idempotency_key",
    "since_ms",
    "seq",
];

/// An open payout after the lines so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) account: AccountId,
    pub(super) amount: u64,
    pub(super) currency: &'static str,
    pub(super) destination: Destination,
    /// Of the job: its receipt keeps it through all steps.
    pub(super) fingerprint: Fingerprint,
    /// `held`, `paying` or `needs_review`.
    pub(super) state: Code,
    pub(super) attempts: u64,
    pub(super) refused: u64,
    pub(super) fence: u64,
    pub(super) first_begin_at_ms: Option<u64>,
    /// Where its attempts went, and under which key; empty before the first.
    pub(super) gateway: String,
    pub(super) idempotency_key: String,
    pub(super) since_ms: u64,
    /// The latest attempt has sent nothing.
    pub(super) taken_back: bool,
    /// Of its last change.
    pub(super) seq: u64,
}

impl Hold {
    /// What its key must hold, in the order of [`HOLD_FIELDS`].
    pub(super) fn fields(&self) -> [String; 14] {
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
            self.gateway.clone(),
            self.idempotency_key.clone(),
            self.since_ms.to_string(),
            self.seq.to_string(),
        ]
    }
}

impl Hold {
    /// Whether the attempt of this fence is the latest, and may have been sent.
    pub(super) fn is_current(&self, fence: u64) -> bool {
        self.state == Code::Paying && self.fence == fence && !self.taken_back
    }

    /// The latest attempt has sent nothing; without an earlier one the payout is as it was before the first.
    pub(super) fn take_back(&mut self) {
        (self.attempts, self.taken_back) = (self.attempts.saturating_sub(1), true);
        if self.attempts == 0 {
            self.first_begin_at_ms = None;
            self.gateway.clear();
            self.idempotency_key.clear();
        }
    }
}

impl Model {
    /// The campaign as it is; `None` within if there is none, `None` if its creation is not in the journal.
    pub(super) fn known_campaign(&self, id: &CampaignId) -> Option<Option<&Campaign>> {
        match self.campaigns.get(id) {
            Some(campaign) if campaign.unknown => None,
            campaign => Some(campaign),
        }
    }

    /// The account, likewise.
    pub(super) fn known_account(&self, id: &AccountId) -> Option<Option<&Account>> {
        match self.accounts.get(id) {
            Some(account) if account.unknown => None,
            account => Some(account),
        }
    }

    /// The inventory, likewise.
    pub(super) fn known_inventory(&self, id: &InventoryId) -> Option<Option<&Inventory>> {
        match self.inventories.get(id) {
            Some(inventory) if inventory.unknown => None,
            inventory => Some(inventory),
        }
    }

    /// The case, likewise.
    pub(super) fn known_case(&self, id: &CaseId) -> Option<Option<&Case>> {
        match self.cases.get(id) {
            Some(case) if case.unknown => None,
            case => Some(case),
        }
    }

    /// What a resource has issued, has available, or has for a version; `None` if there is no such resource.
    pub(super) fn after(&self, resource: Resource<'_>) -> Option<u64> {
        match resource {
            Resource::Campaign(id) => self.campaigns.get(id).map(|campaign| campaign.issued),
            Resource::Account(id) => self.accounts.get(id).map(|account| account.available),
            Resource::Inventory(id) => self.inventories.get(id).map(|inventory| inventory.available),
            Resource::Case(id) => self.cases.get(id).map(|case| case.version),
        }
    }

    /// How much was given back of a job.
    pub(super) fn given_back(&self, of: &JobId) -> u64 {
        self.given_back.get(of).copied().unwrap_or_default()
    }

    /// Whether the resource's beginning is not in the journal, so that nothing more can be said of it.
    pub(super) fn is_unknown(&self, resource: Resource<'_>) -> bool {
        match resource {
            Resource::Campaign(id) => self.known_campaign(id).is_none(),
            Resource::Account(id) => self.known_account(id).is_none(),
            Resource::Inventory(id) => self.known_inventory(id).is_none(),
            Resource::Case(id) => self.known_case(id).is_none(),
        }
    }

    /// The campaign as a line left it: what it has issued, and the seq of its last change.
    pub(super) fn changed_campaign(&mut self, id: &CampaignId, line: &Line) -> &mut Campaign {
        let campaign = self.campaign(id);
        (campaign.issued, campaign.seq) = (line.after("issued").unwrap_or_default(), line.seq);
        campaign
    }

    /// The account, likewise: what it has available.
    pub(super) fn changed_account(&mut self, id: &AccountId, line: &Line) -> &mut Account {
        let account = self.account(id);
        (account.available, account.seq) = (line.after("available").unwrap_or_default(), line.seq);
        account
    }

    /// The inventory, likewise: what it can sell.
    pub(super) fn changed_inventory(&mut self, id: &InventoryId, line: &Line) -> &mut Inventory {
        let unknown = || Inventory { unknown: true, ..Inventory::default() };
        let inventory = self.inventories.entry(id.clone()).or_insert_with(unknown);
        (inventory.available, inventory.seq) = (line.after("available").unwrap_or_default(), line.seq);
        inventory
    }

    /// The case, likewise: its version.
    pub(super) fn changed_case(&mut self, id: &CaseId, line: &Line) -> &mut Case {
        let case = self.cases.entry(id.clone()).or_insert_with(|| Case { unknown: true, ..Case::default() });
        (case.version, case.seq) = (line.after("version").unwrap_or_default(), line.seq);
        case
    }

    /// The campaign, or a stand-in for one whose creation the journal does not have.
    fn campaign(&mut self, id: &CampaignId) -> &mut Campaign {
        let unknown = || Campaign { unknown: true, ..Campaign::default() };
        self.campaigns.entry(id.clone()).or_insert_with(unknown)
    }

    /// The account, likewise.
    fn account(&mut self, id: &AccountId) -> &mut Account {
        self.accounts.entry(id.clone()).or_insert_with(|| Account { unknown: true, ..Account::default() })
    }
}
