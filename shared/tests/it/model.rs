//! Random histories against a model in plain Rust with numbers that cannot overflow (G2, G3, G4, G17), and
//! random lives of a stream with the conservation law checked after every step (G10).

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use tollgate::code::{Code, Stored};
use tollgate::ids::JobId;
use tollgate::instant::Instant;
use tollgate::job::Job;
use tollgate::kinds::{
    AccountClose, AccountOpen, CampaignClose, CampaignSetLimit, Deposit, Fields, JobRequest, Operation,
    Redeem, Refund, Request, Reverse, Withdraw,
};
use tollgate::scripts::park::Destination;
use tollgate::scripts::recover::Company;
use tollgate::scripts::settle::Answer;
use tollgate::scripts::{dead, promote};

use crate::harness::servers;
use crate::property::holds;
use crate::space::*;

const MAX: i128 = tollgate::amount::NUMBER_MAX as i128;

/// What the scripts should do, in 128 bits.
#[derive(Debug, Default)]
struct Model {
    /// limit, issued, open
    campaigns: BTreeMap<String, (i128, i128, bool)>,
    /// available, open
    accounts: BTreeMap<String, (i128, bool)>,
    decided: BTreeMap<JobId, (Request, Code)>,
    given_back: BTreeMap<JobId, i128>,
}

impl Model {
    fn settle(&mut self, id: &JobId, request: &Request) -> Code {
        if let Some((first, code)) = self.decided.get(id) {
            return if first == request { *code } else { Code::IdMismatch };
        }
        let code = self.decide(request);
        if code.stored() == Stored::Yes {
            self.decided.insert(id.clone(), (request.clone(), code));
        }
        code
    }

    fn decide(&mut self, request: &Request) -> Code {
        let name = request.resource().id().to_owned();
        match request {
            Request::Operation(Operation::CampaignCreate(terms)) => {
                if self.campaigns.contains_key(&name) {
                    return Code::CampaignExists;
                }
                self.campaigns.insert(name, (terms.limit.get().into(), 0, true));
                Code::CampaignCreated
            }
            Request::Operation(Operation::AccountOpen(AccountOpen { balance, .. })) => {
                if self.accounts.contains_key(&name) {
                    return Code::AccountExists;
                }
                self.accounts.insert(name, (balance.minor().into(), true));
                Code::AccountOpened
            }
            Request::Job(JobRequest::Redeem(Redeem { quantity, .. })) => {
                match self.campaigns.get_mut(&name) {
                    None => Code::CampaignNotFound,
                    Some((.., false)) => Code::Ended,
                    Some((limit, issued, _)) if *issued + i128::from(quantity.get()) > *limit => {
                        Code::CampaignLimitReached
                    }
                    Some((_, issued, _)) => {
                        *issued += i128::from(quantity.get());
                        Code::Redeemed
                    }
                }
            }
            Request::Operation(Operation::CampaignSetLimit(CampaignSetLimit {
                limit: new,
                expected,
                ..
            })) => match self.campaigns.get_mut(&name) {
                None => Code::CampaignNotFound,
                Some((limit, ..))
                    if expected.is_some_and(|expected| i128::from(expected.get()) != *limit) =>
                {
                    Code::LimitNotAsExpected
                }
                Some((_, issued, _)) if i128::from(new.get()) < *issued => Code::LimitBelowIssued,
                Some((limit, ..)) => {
                    *limit = new.get().into();
                    Code::LimitSet
                }
            },
            Request::Operation(Operation::CampaignClose(CampaignClose { .. })) => {
                match self.campaigns.get_mut(&name) {
                    None => Code::CampaignNotFound,
                    Some((.., false)) => Code::Ended,
                    Some((.., open)) => {
                        *open = false;
                        Code::Closed
                    }
                }
            }
            Request::Job(JobRequest::Withdraw(Withdraw { amount, .. })) => match self.accounts.get_mut(&name)
            {
                None => Code::AccountNotFound,
                Some((_, false)) => Code::AccountClosed,
                Some((available, _)) if *available < amount.minor().into() => Code::InsufficientFunds,
                Some((available, _)) => {
                    *available -= i128::from(amount.minor());
                    Code::Withdrawn
                }
            },
            Request::Operation(Operation::Deposit(Deposit { amount, .. })) => {
                match self.accounts.get_mut(&name) {
                    None => Code::AccountNotFound,
                    Some((_, false)) => Code::AccountClosed,
                    Some((available, _)) if *available + i128::from(amount.minor()) > MAX => {
                        Code::BalanceLimitReached
                    }
                    Some((available, _)) => {
                        *available += i128::from(amount.minor());
                        Code::Deposited
                    }
                }
            }
            Request::Operation(Operation::AccountClose(AccountClose { .. })) => {
                match self.accounts.get_mut(&name) {
                    None => Code::AccountNotFound,
                    Some((_, false)) => Code::AccountClosed,
                    Some((available, _)) if *available > 0 => Code::AccountNotEmpty,
                    Some((_, open)) => {
                        *open = false;
                        Code::Closed
                    }
                }
            }
            Request::Operation(Operation::Refund(Refund { amount, of, .. })) => {
                let Some((available, open)) = self.accounts.get_mut(&name) else {
                    return Code::AccountNotFound;
                };
                let taken = match self.decided.get(of) {
                    None => return Code::OriginalNotFound,
                    Some((Request::Job(JobRequest::Withdraw(withdraw)), Code::Withdrawn)) => {
                        if withdraw.account.as_str() != name {
                            return Code::OriginalMismatch;
                        }
                        i128::from(withdraw.amount.minor())
                    }
                    Some(_) => return Code::NothingToGiveBack,
                };
                let (amount, before) =
                    (i128::from(amount.minor()), self.given_back.entry(of.clone()).or_default());
                if !*open {
                    Code::AccountClosed
                } else if *available + amount > MAX {
                    Code::BalanceLimitReached
                } else if *before + amount > taken {
                    Code::RefundExceeds
                } else {
                    (*available, *before) = (*available + amount, *before + amount);
                    Code::Refunded
                }
            }
            Request::Operation(Operation::Reverse(Reverse { customer, quantity, of, .. })) => {
                let Some((_, issued, _)) = self.campaigns.get_mut(&name) else {
                    return Code::CampaignNotFound;
                };
                match self.decided.get(of) {
                    None => Code::OriginalNotFound,
                    Some((Request::Job(JobRequest::Redeem(redeem)), Code::Redeemed)) => {
                        if (redeem.campaign.as_str(), &redeem.customer, &redeem.quantity)
                            != (name.as_str(), customer, quantity)
                        {
                            Code::OriginalMismatch
                        } else if self.given_back.contains_key(of) {
                            Code::AlreadyReversed
                        } else {
                            *issued -= i128::from(quantity.get());
                            self.given_back.insert(of.clone(), quantity.get().into());
                            Code::Reversed
                        }
                    }
                    Some(_) => Code::NothingToGiveBack,
                }
            }
            other => panic!("not in this model: {other:?}"),
        }
    }
}

/// Amounts at the edges of what a double holds, and small ones.
fn amount() -> impl Strategy<Value = u64> {
    const MAX: u64 = tollgate::amount::NUMBER_MAX;
    prop_oneof![
        1..4_u64,
        MAX - 3..=MAX,
        Just(1 << 52),
        Just((1 << 52) + 1),
        Just((1 << 52) - 1),
        Just(4_294_967_296),
        Just(999_999_999_999_999),
        1..=MAX,
    ]
}

/// The ids that a history is about.
static IDS: LazyLock<Vec<JobId>> = LazyLock::new(|| {
    (0..24).map(|n| if n % 3 == 0 { id(&format!("j{n}")) } else { JobId::fresh() }).collect()
});

fn any_request() -> impl Strategy<Value = Request> {
    let name = prop::sample::select(vec!["x", "y"]);
    (0..16_u8, name, amount(), any::<bool>(), 0..24_usize).prop_map(|(kind, name, amount, flag, of)| {
        match kind {
            10 => refund(name, &IDS[of], amount),
            11 | 12 => refund(name, &IDS[of], 1),
            13 => reverse(name, "u", amount, &IDS[of]),
            14 => reverse(name, "u", 1, &IDS[of]),
            15 if flag => redeem(name, "u", 1),
            15 => withdraw(name, 2),
            0 => create(name, amount),
            1 => open(name, amount),
            2 | 3 => redeem(name, "u", amount),
            4 | 5 => withdraw(name, amount),
            6 | 7 => deposit(name, amount),
            8 => set_limit(name, amount, None),
            _ if flag => end(name),
            _ => close(name),
        }
    })
}

/// Settles with random batches of random ids; ids repeat, with the same request or another one.
#[test]
fn every_amount_is_exact_and_every_id_has_one_answer() {
    let histories = prop::collection::vec(prop::collection::vec((0..24_u8, any_request()), 1..8), 1..12);
    let ground = async || Space::new().await.server;
    holds(400, histories, ground, async |server, batches| {
        let mut space = Space::on(server.clone()).await;
        let mut model = Model::default();
        for batch in &batches {
            let jobs: Vec<_> =
                batch.iter().map(|(n, request)| (None, &IDS[usize::from(*n)], request)).collect();
            let answers = space.settle(&jobs).await.map_err(|error| error.to_string())?.answers;
            for ((_, id, request), answer) in jobs.iter().zip(answers) {
                let expected = model.settle(id, request);
                if answer.code() != Some(expected) {
                    return Err(format!("{request:?}: {answer:?}, the model says {expected}"));
                }
            }
        }
        let report = tollgate_audit::audit(&space.tollgate, &[], &|_| ()).await.unwrap();
        if let Some(violation) = report.violations.first() {
            return Err(violation.to_string());
        }
        let dump = space.dump().await;
        for (name, (limit, issued, open)) in &model.campaigns {
            let row = dump.hash(&format!("campaign:{name}"));
            let found = (row["limit"].clone(), row["issued"].clone(), row["status"] == "open");
            if found != (limit.to_string(), issued.to_string(), *open) {
                return Err(format!("campaign {name}: {row:?}, the model says {limit} {issued} {open}"));
            }
        }
        for (name, (available, open)) in &model.accounts {
            let row = dump.hash(&format!("account:{name}"));
            if (row["available"].clone(), row["status"] == "open") != (available.to_string(), *open) {
                return Err(format!("account {name}: {row:?}, the model says {available} {open}"));
            }
        }
        Ok(())
    });
}

/// A step in the life of a stream.
#[derive(Debug, Clone)]
enum Step {
    Enqueue(u8, u8),
    Fetch(u8, u8),
    /// Settles some of what a consumer ever fetched, also what it no longer holds.
    Settle(u8, u8, u8),
    Park(u8, u8, bool),
    Claim(u8, u8),
    Promote,
    Retry(u8),
    Discard(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..12_u8, 1..6_u8).prop_map(|(id, count)| Step::Enqueue(id, count)),
        4 => (0..3_u8, 1..6_u8).prop_map(|(who, count)| Step::Fetch(who, count)),
        4 => (0..3_u8, any::<u8>(), 1..4_u8).prop_map(|(who, from, count)| Step::Settle(who, from, count)),
        2 => (0..3_u8, any::<u8>(), any::<bool>()).prop_map(|(who, which, dead)| Step::Park(who, which, dead)),
        2 => (0..3_u8, 1..4_u8).prop_map(|(who, count)| Step::Claim(who, count)),
        1 => Just(Step::Promote),
        1 => (0..12_u8).prop_map(Step::Retry),
        1 => (0..12_u8).prop_map(Step::Discard),
    ];
    prop::collection::vec(step, 1..60)
}

/// Whatever consumers do, zombies among them: no entry is lost, invented or settled twice, and after a drain
/// every id that was not discarded has its one effect.
#[test]
fn entries_are_conserved_at_every_step() {
    // A stream in small nodes is trimmed in small pieces: a trim of one entry too much shows.
    let ground = async || {
        let redis = servers::private(&["--stream-node-max-entries", "2"]);
        (servers::open(&redis), redis)
    };
    holds(80, steps(), ground, async |(server, _redis), steps| {
        let mut space = Space::on(server.clone()).await;
        let s = &mut space;
        s.make(create("c", 1_000_000)).await;
        let mut sent = BTreeMap::new();
        let mut seen: [Vec<(String, Job)>; 3] = Default::default();
        // What each worker knows of its rows: one that has lost them does not hear of it.
        let mut knows = [s.known(), s.known(), s.known()];
        let mut discarded = std::collections::BTreeSet::new();
        let queues = s.queues().await;
        for step in &steps {
            let who = match *step {
                Step::Fetch(who, _) | Step::Settle(who, ..) | Step::Park(who, ..) | Step::Claim(who, _) => {
                    who
                }
                _ => 0,
            };
            s.know_again(&knows[usize::from(who)]);
            match *step {
                Step::Enqueue(id, count) => {
                    let jobs: Vec<_> = (0..count).map(|n| numbered((id + n) % 12)).collect();
                    for job in &jobs {
                        sent.insert(job.id.clone(), job.clone());
                        discarded.remove(&job.id);
                    }
                    s.enqueue(&jobs).await;
                }
                Step::Fetch(who, count) => {
                    let entries = s.fetch(&format!("w{who}"), count.into()).await;
                    seen[usize::from(who)].extend(entries);
                }
                Step::Settle(who, from, count) => {
                    let entries = &seen[usize::from(who)];
                    let from = usize::from(from) % (entries.len() + 1);
                    let some: BTreeMap<_, _> = entries[from..].iter().take(count.into()).cloned().collect();
                    s.settle_entries(&some.into_iter().collect::<Vec<_>>()).await;
                }
                Step::Park(who, which, dead) => {
                    let entries = &seen[usize::from(who)];
                    if !entries.is_empty() {
                        let entry = entries[usize::from(which) % entries.len()].clone();
                        let at = Instant::from_ms(s.now_ms().await + 1).unwrap();
                        let destination = match dead {
                            true => Destination::Dead(Code::WorkerLost),
                            false => Destination::Scheduled(at),
                        };
                        s.park(&entry, destination).await.unwrap();
                    }
                }
                Step::Claim(who, count) => {
                    let alone = if count % 2 == 0 { Company::Alone } else { Company::Others };
                    if let Some((_, entries)) = s.take_over(&format!("w{who}"), Duration::ZERO, alone).await {
                        seen[usize::from(who)].extend(entries);
                    }
                }
                Step::Promote => _ = promote::promote(&mut s.link, &s.keys, &queues, 3).await.unwrap(),
                Step::Retry(id) => {
                    let ids = [numbered(id).id];
                    dead::retry(&mut s.link, &s.keys, &queues, &ids).await.unwrap();
                }
                Step::Discard(id) => {
                    let ids = [numbered(id).id];
                    let results = dead::discard(&mut s.link, &s.keys, &ids).await.unwrap();
                    if results == [dead::DeadResult::Discarded] {
                        discarded.insert(ids[0].clone());
                    }
                }
            }
            knows[usize::from(who)] = s.known();
            law(s).await?;
        }
        drain(s, &queues, sent.keys().cloned().collect()).await?;
        // Every id has its one effect, unless its last copy was discarded undecided.
        let receipts = s.dump().await.hash("receipts:kept");
        for id in sent.keys().filter(|id| !receipts.contains_key(id.as_str())) {
            if !discarded.contains(id) {
                return Err(format!("{id} is lost"));
            }
        }
        let issued: usize = s.dump().await.hash("campaign:c")["issued"].parse().unwrap();
        if issued != receipts.len() {
            return Err(format!("{issued} issued for {} ids", receipts.len()));
        }
        Ok(())
    });
}

fn numbered(n: u8) -> Job {
    job(&id(&format!("j{n}")), redeem("c", "u", 1))
}

async fn law(s: &mut Space) -> Result<(), String> {
    let stats = tollgate::scripts::stats::read(&mut s.link, &s.keys).await.unwrap();
    let (accepted, found) = stats.conservation();
    if accepted == found { Ok(()) } else { Err(format!("{accepted} accepted, {found} found: {stats:#?}")) }
}

/// Brings everything back and settles it.
async fn drain(s: &mut Space, queues: &[tollgate::ids::QueueName], ids: Vec<JobId>) -> Result<(), String> {
    dead::retry(&mut s.link, &s.keys, queues, &ids).await.unwrap();
    for round in 0..2_000 {
        promote::promote(&mut s.link, &s.keys, queues, 100).await.unwrap();
        let mut entries = s.fetch("last", 100).await;
        if entries.is_empty() {
            let taken = s.take_over(&format!("last{round}"), Duration::ZERO, Company::Alone).await;
            entries.extend(taken.into_iter().flat_map(|(_, entries)| entries));
        }
        let answers = s.settle_entries(&entries).await.answers;
        if let Some(answer) = answers.iter().find(|answer| matches!(answer, Answer::Undecided(_))) {
            return Err(format!("{answer:?}"));
        }
        law(s).await?;
        let stats = s.stats().await;
        if stats.scheduled == 0 && stats.queues[0].waiting == 0 && stats.queues[0].in_flight == 0 {
            return Ok(());
        }
    }
    Err(format!("it does not drain: {:#?}", s.stats().await))
}
