//! The audit beside workers: several tasks settle, park, promote, pay out and drop receipts as fast as they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tollgate::RETENTION_DEFAULT;
use tollgate::Tollgate;
use tollgate::code::Code;
use tollgate::fetch::{Delivered, Take, Taken};
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{AccountId, JobId, QueueName};
use tollgate::instant::Instant;
use tollgate::job::Job;
use tollgate::kinds::Request;
use tollgate::receipts::drop_old;
use tollgate::scripts::park::{Destination, Parked, Parking, park};
use tollgate::scripts::payout::{self, Begin, Retry, Step};
use tollgate::scripts::promote::promote;
use tollgate::scripts::receipts_drop::Pace;
use tollgate::scripts::settle::{Item, Policy, Source, settle};
use tollgate::scripts::{dead, settle as settling};
use tollgate_audit::{Check, Report, Verdict};

use crate::harness::{GATEWAY, PAYOUT_KEY, cmd, until};

use crate::space::{create_for_each, deposit, open, payout as pays, queued, redeem, withdraw};

use super::populated::{Populated, assert_clean};

/// Between two batches of a task.
const PACE: Duration = Duration::from_millis(25);

/// Stops the tasks when the test ends, however it ends.
struct Crowd {
    stop: Arc<AtomicBool>,
    settled: Arc<AtomicU64>,
    tasks: tokio::task::JoinSet<()>,
}

/// A timed id of some days ago: its receipt's bucket can be dropped.
fn old_id(days: u64, n: u64) -> JobId {
    let at_ms = Instant::now().ms() - days * 24 * 3_600_000;
    let mut random = [0; 10];
    random[2..].copy_from_slice(&n.to_be_bytes());
    let uuid = uuid::Builder::from_unix_timestamp_millis(at_ms, &random).into_uuid();
    JobId::parse(uuid.to_string()).unwrap()
}

impl Crowd {
    fn start(tollgate: &Tollgate) -> Self {
        let (stop, settled) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for who in 0..3 {
            tasks.spawn(settler(tollgate.clone(), who, stop.clone(), settled.clone()));
        }
        tasks.spawn(mover(tollgate.clone(), stop.clone()));
        tasks.spawn(payer(tollgate.clone(), stop.clone()));
        Self { stop, settled, tasks }
    }

    /// Ends well only if every task did.
    async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// Settles batches of everything, some of it refused, some of it repeated.
async fn settler(tollgate: Tollgate, who: u64, stop: Arc<AtomicBool>, settled: Arc<AtomicU64>) {
    let mut link = tollgate.server().link().await.unwrap();
    let keys = tollgate.keys(tollgate.partitions().get(0).unwrap()).clone();
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut jobs: Vec<(JobId, Request)> = Vec::new();
        for _ in 0..3 {
            n += 1;
            let customer = format!("c{}", n % 40);
            jobs.push((JobId::fresh(), redeem("hot", &customer, 1)));
            jobs.push((JobId::fresh(), redeem("scarce", &customer, 1)));
            jobs.push((old_id(3, who << 40 | n), withdraw("a1", 3)));
            jobs.push((JobId::fresh(), deposit("a1", 2)));
            jobs.push((JobId::fresh(), withdraw(&format!("busy-{}", n % 50), 1)));
        }
        let (account, name) = (format!("new-{who}-{n}"), format!("camp-{who}-{n}"));
        jobs.push((JobId::create_account(&account.parse().unwrap()), open(&account, 5)));
        jobs.push((JobId::create_campaign(&name.parse().unwrap()), create_for_each(&name, 3, Some(1))));
        jobs.push((JobId::fresh(), redeem(&name, "first", 1)));
        let items: Vec<Item<'_>> = jobs
            .iter()
            .map(|(id, request)| Item { entry: None, id, request, fingerprint: Fingerprint::of(request) })
            .collect();
        let answers = settle(&mut link, &keys, &QueueName::default(), &items).await.unwrap().answers;
        settled.fetch_add(answers.len() as u64, Ordering::Relaxed);
        // An audit reads the whole history: it must stay faster than the crowd writes it.
        tokio::time::sleep(PACE).await;
    }
}

/// Enqueues jobs, parks half of them as scheduled and half as dead, brings them back and settles them.
async fn mover(tollgate: Tollgate, stop: Arc<AtomicBool>) {
    let mut link = tollgate.server().link().await.unwrap();
    let keys = tollgate.keys(tollgate.partitions().get(0).unwrap()).clone();
    let queue = QueueName::default();
    while !stop.load(Ordering::Relaxed) {
        let job = |_| Job { id: JobId::fresh(), at: None, request: queued(redeem("hot", "moved", 1)) };
        let jobs: Vec<Job> = (0..10).map(job).collect();
        tollgate.enqueue(&mut link, &queue, &jobs).await.unwrap();
        for round in 0..2 {
            let Some(Taken { row, entries }) =
                Take::new(&keys, &queue, "mover", 20).run(&mut link).await.unwrap()
            else {
                continue;
            };
            let mut left: Vec<&str> = entries.iter().map(|delivered| delivered.entry.as_str()).collect();
            for (i, Delivered { entry, job: envelope }) in entries.iter().enumerate() {
                let job = tollgate::envelope::Envelope::decode_job(envelope).unwrap();
                let others: Vec<&str> = left.iter().copied().filter(|other| other != entry).collect();
                let source = Source { row: &row, left: &others };
                let fingerprint = Fingerprint::of(&job.request);
                if round == 1 {
                    let item = Item { entry: Some(entry), id: &job.id, request: &job.request, fingerprint };
                    let policy = Policy { source: Some(source), ..Policy::default() };
                    settling::settle_with(&mut link, &keys, &queue, &[item], policy).await.unwrap();
                    left = others;
                    continue;
                }
                let soon = Instant::from_ms(Instant::now().ms() + 4).unwrap();
                let destination = match i % 2 {
                    0 => Destination::Scheduled(soon),
                    _ => Destination::Dead(Code::CorruptState),
                };
                let id = &job.id;
                let parking = Parking { entry, id, fingerprint, attempts: 0, envelope, destination };
                if park(&mut link, &keys, &queue, source, &[parking]).await.unwrap() != [Parked::Due] {
                    left = others;
                }
            }
            let ids: Vec<JobId> = jobs.iter().map(|job| job.id.clone()).collect();
            dead::retry(&mut link, &keys, std::slice::from_ref(&queue), &ids).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
            promote(&mut link, &keys, std::slice::from_ref(&queue), 100).await.unwrap();
        }
    }
}

/// Holds, begins, and pays or refuses; one in four stays open.
async fn payer(tollgate: Tollgate, stop: Arc<AtomicBool>) {
    let mut link = tollgate.server().link().await.unwrap();
    let keys = tollgate.keys(tollgate.partitions().get(0).unwrap()).clone();
    let account = AccountId::parse("a4").unwrap();
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let id = old_id(n % 5, u64::MAX - n);
        tollgate.settle_one(&mut link, &id, &pays("a4", 1)).await.unwrap();
        tollgate.settle_one(&mut link, &JobId::fresh(), &deposit("a4", 2)).await.unwrap();
        if n % 4 == 0 {
            continue;
        }
        let (key, lease) = (id.to_string(), Duration::ZERO);
        let window = Duration::from_secs(60);
        let begin = Begin {
            key: &key,
            lease,
            retry: Retry::SameKey,
            key_window: window,
            backoff: lease,
            gateway: &GATEWAY,
            idempotency_key: &PAYOUT_KEY,
        };
        payout::step(&mut link, &keys, &account, &id, &Step::Begin(begin)).await.unwrap();
        let fence: Option<u64> = link.query(&cmd(&["HGET", &keys.hold(&id), "fence"])).await.unwrap();
        let step = match (n % 3, fence) {
            (0, Some(fence)) => Step::Refused { fence, note: "no" },
            (1, _) => Step::VoidByHand { note: "wrong" },
            _ => Step::Paid { note: "ok" },
        };
        payout::step(&mut link, &keys, &account, &id, &step).await.unwrap();
        tokio::time::sleep(PACE).await;
    }
}

/// A space with its crowd, after the first of them have been at work.
async fn busy_space() -> (Populated, Crowd) {
    let mut space = Populated::new().await;
    space.settle("create/campaign/hot", &create_for_each("hot", 1_000_000_000, None)).await;
    space.settle("create/campaign/scarce", &create_for_each("scarce", 60, Some(2))).await;
    space.settle("rich", &deposit("a1", 1_000_000_000)).await;
    for n in 0..50 {
        space.settle(&format!("create/account/busy-{n}"), &open(&format!("busy-{n}"), 100)).await;
    }
    let crowd = Crowd::start(&space.tollgate);
    let settled = crowd.settled.clone();
    until("the crowd to be at work", async || (settled.load(Ordering::Relaxed) > 500).then_some(())).await;
    (space, crowd)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_motion_is_no_violation() {
    let (mut space, crowd) = busy_space().await;
    let before = crowd.settled.load(Ordering::Relaxed);
    for round in 0..6 {
        let report = space.audit().await;
        assert_clean(&report);
        assert!(report.checked.lines > 500 && report.checked.holds > 0, "{:?}", report.checked);
        if round == 2 {
            // The floor rises over the receipts of the old ids.
            let (server, namespace) = (space.tollgate.server().clone(), space.tollgate.namespace().clone());
            let day = Duration::from_secs(2 * 24 * 3600);
            assert!(day < RETENTION_DEFAULT);
            Tollgate::init(server, namespace, space.tollgate.partitions(), day).await.unwrap();
        }
        if round >= 2 {
            let keys = space.keys.clone();
            drop_old(&mut space.link, &keys, Pace::ByHand).await.unwrap();
        }
    }
    assert!(crowd.settled.load(Ordering::Relaxed) > before, "nothing was in motion");
    crowd.end().await;
    let report = space.audit().await;
    assert_clean(&report);
    assert_eq!(report.checked.in_progress, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_found_while_others_work() {
    let is_named = |report: &Report, check: Check, resource: &str| {
        report.violations.iter().any(|found| found.check == check && found.resource == resource)
    };
    let (mut space, crowd) = busy_space().await;
    assert_clean(&space.audit().await);
    for (fault, check, resource) in [
        ("HINCRBY $account:a1 available 1", Check::G2, "account:a1"),
        ("HINCRBY $campaign:hot issued -1", Check::G1, "campaign:hot"),
        ("HSET $holders:hot stranger 1", Check::G1, "campaign:hot"),
        ("HSET $holders:summer c1 1", Check::G1, "campaign:summer"),
        ("HDEL $receipts:kept j6", Check::G4, "receipt:j6"),
        ("HSET $receipts:kept j99 0123456789abcdef~redeemed~4", Check::G4, "receipt:j99"),
        ("ZREM $resources account:a1", Check::G9, "account:a1"),
        ("HINCRBY $head acked 1", Check::G10, "head"),
        ("HDEL $parked dead-1", Check::G10, "parked:dead-1"),
        ("DEL $hold:p1", Check::G14, "hold:p1"),
    ] {
        space.run(fault).await;
        let report = space.audit().await;
        assert_eq!(report.verdict, Verdict::Fail, "{fault}");
        assert!(is_named(&report, check, resource), "{fault}: {:#?}", report.violations);
    }
    crowd.end().await;
}
