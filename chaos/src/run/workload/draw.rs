//! Requests, drawn from a seed.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::sales::{Sales, customer};
use crate::run::history::{Job, Request, now_ms};

/// Name, limit, and how much one customer may have. Some end at once, one never.
pub(super) const CAMPAIGNS: &[(&str, u64, Option<u64>)] = &[
    ("single", 1, None),
    ("three", 3, Some(1)),
    ("scarce", 60, Some(1)),
    ("moving", 20, Some(2)),
    ("plenty", 9_007_199_254_740_991, None),
];
pub(super) const ACCOUNTS: u64 = 12;
/// Cents: enough for some of what is asked.
pub(super) const BALANCE: u64 = 50_000;
/// What the account at the end of all numbers begins with.
pub(super) const RICH: u64 = 9_007_199_254_740_991 - 1_000_000;
/// The queues of a run.
pub(in crate::run) const QUEUES: &[&str] = &["default", "express", "paused-at-times"];
/// Cases that officers decide; each has several who want to.
pub(super) const CASES: u64 = 8;
/// How many earlier jobs may come again.
const REMEMBERED: usize = 400;

pub(super) fn account(number: u64) -> String {
    format!("account-{number}")
}

pub(super) fn case(number: u64) -> String {
    format!("case-{number}")
}

/// Cents as the command line takes them.
pub(super) fn decimal(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Draws jobs, and remembers them so that they come again.
pub(super) struct Pool {
    random: ChaCha8Rng,
    earlier: VecDeque<Job>,
    sales: Sales,
    /// The withdrawal of which a part was given back last, and all that it took.
    refunded: Option<(String, String, u64)>,
    closed: u64,
}

impl Pool {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            earlier: VecDeque::new(),
            sales: Sales::default(),
            refunded: None,
            closed: 0,
        }
    }

    pub(super) fn random(&mut self) -> &mut ChaCha8Rng {
        &mut self.random
    }

    /// The next job for a queue: mostly a new one, sometimes an earlier one again, or another request under its id.
    pub(super) fn queued(&mut self, payouts: bool) -> Job {
        let roll = self.random.random_range(0..100);
        if roll < 20 && !self.earlier.is_empty() {
            let place = self.random.random_range(0..self.earlier.len());
            let job = self.earlier[place].clone();
            return if roll < 5 { mutated(job) } else { job };
        }
        let request = self.request(payouts);
        let id = self.id(matches!(request, Request::Withdraw { destination: Some(_), .. }));
        self.remember(Job { id, request })
    }

    /// One that will not come again, unless its sender repeats it.
    pub(super) fn once(&mut self) -> Job {
        let request = self.request(false);
        Job { id: self.id(true), request }
    }

    fn remember(&mut self, job: Job) -> Job {
        if let Request::Sale(sale) = &job.request {
            self.sales.remember(&job.id, sale);
        }
        if self.earlier.len() == REMEMBERED {
            self.earlier.pop_front();
        }
        self.earlier.push_back(job.clone());
        job
    }

    fn request(&mut self, payouts: bool) -> Request {
        let random = &mut self.random;
        if random.random_ratio(1, 4) {
            return Request::Sale(self.sales.draw(random));
        }
        if random.random_ratio(11, 20) {
            let (campaign, ..) = CAMPAIGNS[random.random_range(0..CAMPAIGNS.len())];
            let customer = customer(random);
            let quantity = if random.random_ratio(1, 10) { 2 } else { 1 };
            return Request::Redeem { campaign: campaign.to_owned(), customer, quantity };
        }
        let payout = payouts && random.random_ratio(1, 4);
        let account = if !payout && random.random_ratio(1, 15) {
            "rich".to_owned()
        } else {
            account(random.random_range(0..ACCOUNTS))
        };
        let destination = payout.then(|| format!("iban-{}", random.random_range(0..5)));
        Request::Withdraw { account, amount: random.random_range(1..2_500), destination }
    }

    /// Half of them are UUIDv7, as the producer makes them.
    pub(super) fn id(&mut self, plain: bool) -> String {
        if plain || self.random.random_bool(0.5) {
            return format!("job-{:016x}", self.random.next_u64());
        }
        let now = now_ms();
        let (high, low) = (self.random.random_range(0..0x1000), self.random.next_u64() >> 2);
        let low = format!("{:016x}", low | 0x8000_0000_0000_0000);
        let time = format!("{now:012x}");
        format!("{}-{}-7{high:03x}-{}-{}", &time[..8], &time[8..], &low[..4], &low[4..])
    }

    /// A deposit, sometimes up to the end of all numbers; sometimes one from before.
    pub(super) fn deposit(&mut self) -> Job {
        let rich = self.random.random_ratio(1, 6);
        let account = if rich { "rich".to_owned() } else { account(self.random.random_range(0..ACCOUNTS)) };
        let amount = if rich { 400_000 } else { self.random.random_range(1..5_000) };
        let id = format!("deposit-{:016x}", self.random.next_u64());
        Job { id, request: Request::Deposit { account, amount } }
    }

    /// What is settled by whoever asks, or moves money: a part of a withdrawal or a whole redemption of before is given
    /// back, an officer decides a case, an account pays another.
    pub(super) fn operation(&mut self) -> Job {
        let number = self.random.next_u64();
        if self.random.random_ratio(1, 4) {
            let from = self.random.random_range(0..ACCOUNTS);
            let to = (from + self.random.random_range(1..ACCOUNTS)) % ACCOUNTS;
            let amount = self.random.random_range(1..2_500);
            let request = Request::Transfer { from: account(from), to: account(to), amount };
            return Job { id: format!("transfer-{number:016x}"), request };
        }
        // After a part, all of it: one of the two is too much.
        if let Some((account, of, amount)) = self.refunded.take() {
            return Job {
                id: format!("operation-{number:016x}"),
                request: Request::Refund { account, of, amount },
            };
        }
        let place = self.random.random_range(0..self.earlier.len().max(1));
        let given = self.earlier.get(place).filter(|_| self.random.random_ratio(2, 3));
        let request = match given.map(|job| (job.id.clone(), &job.request)) {
            Some((of, Request::Withdraw { account, amount, .. })) => {
                // Often more than half of it: of two such refunds one is too much.
                let part = self.random.random_range(1..=*amount);
                self.refunded = Some((account.clone(), of.clone(), *amount));
                Request::Refund { account: account.clone(), of, amount: part }
            }
            Some((of, Request::Redeem { campaign, customer, quantity })) => Request::Reverse {
                campaign: campaign.clone(),
                customer: customer.clone(),
                quantity: *quantity,
                of,
            },
            _ => Request::Decide {
                case: case(self.random.random_range(0..CASES)),
                decision: ["approve", "reject"][self.random.random_range(0..2)].to_owned(),
                by: format!("officer-{}", self.random.random_range(0..5)),
            },
        };
        Job { id: format!("operation-{number:016x}"), request }
    }

    /// A new limit for the campaign that others redeem from, or the end of it.
    pub(super) fn limit(&mut self) -> Job {
        let id = format!("limit-{:016x}", self.random.next_u64());
        let request = if self.random.random_ratio(1, 25) && self.closed == 0 {
            self.closed += 1;
            Request::CloseCampaign { campaign: "three".to_owned() }
        } else {
            Request::SetLimit { campaign: "moving".to_owned(), limit: self.random.random_range(1..120) }
        };
        Job { id, request }
    }
}

/// The same id for a request that differs in one field, of the same resource.
fn mutated(mut job: Job) -> Job {
    match &mut job.request {
        Request::Redeem { quantity, .. } => *quantity += 1,
        Request::Withdraw { amount, .. } | Request::Deposit { amount, .. } => *amount += 1,
        Request::Sale(sale) => sale.mutate(),
        _ => {}
    }
    job
}

/// A job as a line of NDJSON.
pub(super) fn unpack(job: &Job, at: Option<&str>) -> String {
    let mut line = match &job.request {
        Request::Redeem { campaign, customer, quantity } => serde_json::json!({
            "kind": "redeem", "campaign": campaign, "customer": customer, "quantity": quantity }),
        Request::Withdraw { account, amount, destination } => {
            let mut line = serde_json::json!({ "kind": "withdraw", "account": account, "amount": amount });
            if let Some(destination) = destination {
                line["destination"] = destination.as_str().into();
            }
            line
        }
        Request::Sale(_) => serde_json::json!(job.request),
        _ => return String::new(),
    };
    line["id"] = job.id.as_str().into();
    if let Some(at) = at {
        line["at"] = at.into();
    }
    format!("{line}\n")
}

/// RFC 3339, so many milliseconds from now.
pub(super) fn soon(ms: u64) -> String {
    let at = SystemTime::now() + Duration::from_millis(ms);
    humantime::format_rfc3339_millis(at.max(UNIX_EPOCH)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_requests_and_ids_are_canonical() {
        let draw = || {
            let mut pool = Pool::new(3);
            // What names another job has its id in it, and half of these begin with the time.
            let plain = |request: &Request| !matches!(request, Request::Sale(_));
            (0..500).map(|_| pool.queued(true).request).filter(plain).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
        let mut pool = Pool::new(4);
        let timed = (0..50).map(|_| pool.id(false)).find(|id| id.len() == 36).unwrap();
        let parts: Vec<usize> = timed.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{timed}");
        assert!(timed.as_bytes()[14] == b'7' && b"89ab".contains(&timed.as_bytes()[19]), "{timed}");
    }
}
