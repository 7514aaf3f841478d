//! Checks 1, 2, 3, 9, 11, 13: the journal replayed against a sequential model of campaigns, accounts and cases, written from
//! the guarantees. What each line says it left behind, and what is there at the end, must be what the model has.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::cases::Cases;
use super::finding::{Finding, Found};
use super::record::{Line, Record};
use crate::run::ground::PAYOUT_TIMEOUT_MS;
use crate::run::history::Event;

/// The largest amount there is.
const NUMBER_MAX: u64 = (1 << 53) - 1;

#[derive(Default)]
struct Campaign {
    limit: u64,
    issued: u64,
    per_customer: Option<u64>,
    closed: bool,
    customers: HashMap<String, u64>,
}

#[derive(Default, Clone)]
struct Account {
    available: u64,
    held: u64,
    paid_in: u64,
    spent: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Hold {
    Open(u64),
    Ended,
}

struct Taken {
    resource: String,
    customer: String,
    amount: u64,
    given_back: u64,
}

struct Model {
    campaigns: BTreeMap<(u64, String), Campaign>,
    accounts: BTreeMap<(u64, String), Account>,
    cases: Cases,
    holds: HashMap<(u64, String), Hold>,
    /// What jobs took that may be given back: of which resource, from which customer, how much, and how much of it was.
    taken: HashMap<(u64, String), Taken>,
    /// When the last attempt of a payout began, if no step has come since.
    paying: HashMap<(u64, String), u64>,
    over_issue: Found,
    overdraft: Found,
    once: Found,
    chain: Found,
    holds_found: Found,
    exact: Found,
}

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let mut model = Model {
        campaigns: BTreeMap::new(),
        accounts: BTreeMap::new(),
        cases: Cases::default(),
        holds: HashMap::new(),
        taken: HashMap::new(),
        paying: HashMap::new(),
        over_issue: Found::new(1, "G1 no over-issue"),
        overdraft: Found::new(2, "G2 no overdraft, no double spend"),
        once: Found::new(3, "G3 one effect per id and resource"),
        chain: Found::new(9, "G9 the journal is complete"),
        holds_found: Found::new(11, "G14 a hold is resolved exactly once"),
        exact: Found::new(13, "G17 exact arithmetic"),
    };
    let mut decided: HashMap<(u64, &str), &Line> = HashMap::new();
    let mut last: HashMap<u64, u64> = HashMap::new();
    for line in &record.journal {
        let before = last.insert(line.partition, line.seq).unwrap_or(0);
        if line.seq != before + 1 {
            model.chain.add(format!("after seq {before} comes {}", line.seq), vec![line.place()]);
        }
        if line.decides()
            && let Some(first) = decided.insert((line.partition, &line.id), line)
        {
            model.once.add(format!("{} is decided twice", line.id), vec![first.place(), line.place()]);
        }
        model.take(line);
    }
    model.compare(record);
    model.cases.compare(&record.cases, &mut model.over_issue);
    model.seen(record);
    let Model { over_issue, overdraft, once, chain, holds_found, exact, .. } = model;
    [over_issue, overdraft, once, chain, holds_found, exact].into_iter().flat_map(Found::done).collect()
}

impl Model {
    fn take(&mut self, line: &Line) {
        let key = |name: &Option<String>| (line.partition, name.clone().unwrap_or_default());
        match line.kind.as_str() {
            "redeem" => self.redeem(line, key(&line.campaign)),
            "campaign_create" if line.class == "applied" => {
                let campaign = self.campaigns.entry(key(&line.campaign)).or_default();
                (campaign.limit, campaign.per_customer) = (line.limit.unwrap_or(0), line.per_customer);
            }
            "campaign_set_limit" if line.class == "applied" => {
                let campaign = self.campaigns.entry(key(&line.campaign)).or_default();
                campaign.limit = line.limit.unwrap_or(0);
                if campaign.issued > campaign.limit {
                    self.over_issue.add("a limit was set below what is issued", vec![line.place()]);
                }
            }
            "campaign_close" if line.class == "applied" => {
                self.campaigns.entry(key(&line.campaign)).or_default().closed = true;
            }
            "account_open" | "deposit" if line.class == "applied" => {
                let account = self.accounts.entry(key(&line.account)).or_default();
                let amount = line.amount.or(line.balance).unwrap_or(0);
                account.available += amount;
                account.paid_in += amount;
                if account.available > NUMBER_MAX {
                    self.exact.add("a balance is past 2^53 - 1", vec![line.place()]);
                }
                self.says(line);
            }
            "withdraw" => self.withdraw(line, key(&line.account)),
            "transfer" if line.class == "applied" => self.transfer(line, key(&line.from), key(&line.to)),
            "refund" if line.class == "applied" => self.refund(line, key(&line.account)),
            "reverse" if line.class == "applied" => self.reverse(line, key(&line.campaign)),
            "case_open" | "case_amend" | "decide" => self.cases.take(line, &mut self.over_issue),
            kind if kind.starts_with("payout") => self.payout(line, key(&line.account)),
            _ => {}
        }
    }

    /// Notes what a job took.
    fn took(&mut self, line: &Line, resource: &str, amount: u64) {
        let (resource, customer) = (resource.to_owned(), line.customer.clone().unwrap_or_default());
        self.taken
            .insert((line.partition, line.id.clone()), Taken { resource, customer, amount, given_back: 0 });
    }

    /// Gives an amount back of what a line names; false if that took less, or something else.
    fn gives_back(&mut self, line: &Line, resource: &str, amount: u64) -> bool {
        let of = (line.partition, line.of.clone().unwrap_or_default());
        let Some(taken) = self.taken.get_mut(&of) else { return false };
        let customer = line.customer.clone().unwrap_or_default();
        taken.given_back += amount;
        (taken.resource.as_str(), &taken.customer) == (resource, &customer)
            && taken.given_back <= taken.amount
    }

    fn transfer(&mut self, line: &Line, from: (u64, String), to: (u64, String)) {
        let amount = line.amount.unwrap_or(0);
        let payer = self.accounts.entry(from.clone()).or_default();
        match payer.available.checked_sub(amount) {
            Some(left) => (payer.available, payer.spent) = (left, payer.spent + amount),
            None => self.overdraft.add(format!("{} had {}", from.1, payer.available), vec![line.place()]),
        }
        let payee = self.accounts.entry(to).or_default();
        (payee.available, payee.paid_in) = (payee.available + amount, payee.paid_in + amount);
    }

    fn refund(&mut self, line: &Line, key: (u64, String)) {
        let amount = line.amount.unwrap_or(0);
        if !self.gives_back(line, &key.1, amount) {
            let what = format!("{} got back {amount} that {:?} had not taken", key.1, line.of);
            self.overdraft.add(what, vec![line.place()]);
        }
        let account = self.accounts.entry(key).or_default();
        (account.available, account.paid_in) = (account.available + amount, account.paid_in + amount);
        self.says(line);
    }

    fn reverse(&mut self, line: &Line, key: (u64, String)) {
        let quantity = line.quantity.unwrap_or(1);
        if !self.gives_back(line, &key.1, quantity) {
            let what = format!("{:?} was reversed, and not what was redeemed", line.of);
            self.over_issue.add(what, vec![line.place()]);
        }
        let campaign = self.campaigns.entry(key.clone()).or_default();
        let has = campaign.customers.entry(line.customer.clone().unwrap_or_default()).or_default();
        (campaign.issued, *has) = (campaign.issued.saturating_sub(quantity), has.saturating_sub(quantity));
        let by_replay = (campaign.issued, *has);
        if (line.issued, line.held) != (Some(by_replay.0), Some(by_replay.1)) {
            let what = format!(
                "{}: issued {:?}, {:?} has {:?}, by replay {by_replay:?}",
                key.1, line.issued, line.customer, line.held
            );
            self.chain.add(what, vec![line.place()]);
        }
    }

    fn redeem(&mut self, line: &Line, key: (u64, String)) {
        if line.code == "redeemed" {
            self.took(line, &key.1, line.quantity.unwrap_or(1));
        }
        let Some(campaign) = self.campaigns.get_mut(&key) else { return };
        let (quantity, customer) = (line.quantity.unwrap_or(1), line.customer.clone().unwrap_or_default());
        let has = campaign.customers.entry(customer).or_default();
        let fits = campaign.issued + quantity <= campaign.limit;
        let fits_customer = campaign.per_customer.is_none_or(|most| *has + quantity <= most);
        match line.code.as_str() {
            "redeemed" => {
                campaign.issued += quantity;
                *has += quantity;
                if !fits || !fits_customer || campaign.closed {
                    let what = format!(
                        "{} has issued {} of {}{}",
                        key.1,
                        campaign.issued,
                        campaign.limit,
                        if campaign.closed { ", after its close" } else { "" }
                    );
                    self.over_issue.add(what, vec![line.place()]);
                }
            }
            "campaign_limit_reached" if fits => {
                self.exact.add(
                    format!("{} had {} of {} left", key.1, campaign.issued, campaign.limit),
                    vec![line.place()],
                );
            }
            "customer_limit_reached" if fits_customer => {
                self.exact
                    .add(format!("{} was refused below the bound of a customer", key.1), vec![line.place()]);
            }
            "ended" if !campaign.closed => {
                self.exact.add(format!("{} was not closed yet", key.1), vec![line.place()]);
            }
            _ => {}
        }
        if let (Some(issued), Some(held)) = (line.issued, line.held)
            && (issued, held) != (campaign.issued, *has)
        {
            let says = format!("issued {issued}, its customer has {held}");
            let what = format!("{}: {says}, by replay {} and {has}", key.1, campaign.issued);
            self.chain.add(what, vec![line.place()]);
        }
    }

    fn withdraw(&mut self, line: &Line, key: (u64, String)) {
        let Some(account) = self.accounts.get_mut(&key) else { return };
        let amount = line.amount.unwrap_or(0);
        match line.code.as_str() {
            "withdrawn" => match account.available.checked_sub(amount) {
                Some(left) => {
                    account.available = left;
                    account.spent += amount;
                    self.took(line, &key.1, amount);
                }
                None => {
                    self.overdraft.add(format!("{} had {}", key.1, account.available), vec![line.place()])
                }
            },
            "insufficient_funds" if account.available >= amount => {
                let what = format!("{} had {} and {amount} was refused", key.1, account.available);
                self.exact.add(what, vec![line.place()]);
            }
            _ => {}
        }
        self.says(line);
    }

    fn payout(&mut self, line: &Line, key: (u64, String)) {
        let hold = (line.partition, line.id.clone());
        let state = self.holds.get(&hold).copied();
        // What was never sent cannot pay any more.
        if line.code != "paying" || line.kind == "payout_not_sent" {
            self.paying.remove(&hold);
        }
        match line.code.as_str() {
            "held" if line.kind == "payout" => {
                let Some(account) = self.accounts.get_mut(&key) else { return };
                let amount = line.amount.unwrap_or(0);
                match account.available.checked_sub(amount) {
                    Some(left) => (account.available, account.held) = (left, account.held + amount),
                    None => {
                        self.overdraft.add(format!("{} had {}", key.1, account.available), vec![line.place()])
                    }
                }
                if self.holds.insert(hold, Hold::Open(amount)).is_some() {
                    self.holds_found.add(format!("{} is held twice", line.id), vec![line.place()]);
                }
            }
            "insufficient_funds" => {
                let has = self.accounts.get(&key).map_or(0, |account| account.available);
                if line.amount.is_some_and(|amount| amount <= has) {
                    self.exact.add(format!("{} had {has}", key.1), vec![line.place()]);
                }
            }
            "paid" | "payout_refused" | "payout_voided" => {
                let Some(Hold::Open(amount)) = state else {
                    self.holds_found
                        .add(format!("{} is resolved twice, or was never held", line.id), vec![line.place()]);
                    return;
                };
                self.holds.insert(hold, Hold::Ended);
                let Some(account) = self.accounts.get_mut(&key) else { return };
                account.held = account.held.saturating_sub(amount);
                if line.code == "paid" {
                    account.spent += amount;
                    self.took(line, &key.1, amount);
                } else {
                    account.available += amount;
                }
            }
            "paying" if line.kind == "payout_begin" && matches!(state, Some(Hold::Open(_))) => {
                // What ended since: nothing, and so the last attempt may still be paying.
                let last = self.paying.insert(hold, line.at_ms);
                if last.is_some_and(|last| line.at_ms < last + PAYOUT_TIMEOUT_MS) {
                    self.holds_found.add(
                        format!("{} is tried again while the last try may still pay", line.id),
                        vec![line.place()],
                    );
                }
                return;
            }
            // Held again: an attempt that has sent nothing is taken back.
            "paying" | "needs_review" | "held" if !matches!(state, Some(Hold::Open(_))) => {
                self.holds_found.add(format!("{} goes on after its end", line.id), vec![line.place()]);
            }
            "paid_after_void" => {
                self.holds_found
                    .add(format!("{} was paid after it was given back", line.id), vec![line.place()]);
            }
            _ => {}
        }
        self.says(line);
    }

    /// What the line says it left available.
    fn says(&mut self, line: &Line) {
        let key = (line.partition, line.account.clone().unwrap_or_default());
        if let (Some(says), Some(account), true) =
            (line.available, self.accounts.get(&key), line.class != "refused")
            && says != account.available
        {
            let what = format!("{} has {says}, by replay {}", key.1, account.available);
            self.chain.add(what, vec![line.place()]);
        }
    }

    /// What is there at the end.
    fn compare(&mut self, record: &Record) {
        let sums = |name: &str| {
            self.accounts.iter().find(|((_, account), _)| account == name).map(|(_, sum)| sum.clone())
        };
        for there in &record.accounts {
            let by_replay = sums(&there.account).unwrap_or_default();
            let (available, held) = (there.available.unwrap_or(0), there.held.unwrap_or(0));
            if (available, held) != (by_replay.available, by_replay.held) {
                let what = format!(
                    "{} has {available} and {held} held; by the journal {} and {}",
                    there.account, by_replay.available, by_replay.held
                );
                self.overdraft.add(what, Vec::new());
            }
            if by_replay.paid_in != available + held + by_replay.spent {
                let what = format!(
                    "{}: {} paid in, {} there and {} spent",
                    there.account,
                    by_replay.paid_in,
                    available + held,
                    by_replay.spent
                );
                self.overdraft.add(what, Vec::new());
            }
        }
        let there: HashSet<&str> = record.accounts.iter().map(|account| account.account.as_str()).collect();
        for (_, name) in self.accounts.keys().filter(|(_, name)| !there.contains(name.as_str())) {
            self.overdraft.add(format!("{name} is in the journal and nowhere else"), Vec::new());
        }
        for there in &record.campaigns {
            let by_replay = self.campaigns.iter().find(|((_, name), _)| *name == there.campaign);
            let by_replay = by_replay.map_or((0, 0), |(_, campaign)| (campaign.limit, campaign.issued));
            if (there.limit.unwrap_or(0), there.issued.unwrap_or(0)) != by_replay {
                let what =
                    format!("{} is {there:?}; by the journal (limit, issued) {by_replay:?}", there.campaign);
                self.over_issue.add(what, Vec::new());
            }
        }
    }

    /// What was seen while faults ran.
    fn seen(&mut self, record: &Record) {
        for entry in &record.entries {
            if let Event::Seen { campaign, limit, issued } = &entry.event
                && issued > limit
            {
                let what = format!("{campaign} was seen with {issued} of {limit}");
                self.over_issue.add(what, vec![record.around(entry.at_us)]);
            }
        }
    }
}
