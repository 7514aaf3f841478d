//! What is known of an id, and what it answers: each row of the table in `lua/parts/receipt.lua`, through `settle`,
//! `park` and `lookup`, for the same request and for another.

use tollgate::code::Code;
use tollgate::ids::{Bucket, JobId};
use tollgate::instant::Instant;
use tollgate::job::Job;
use tollgate::kinds::Request;
use tollgate::scripts::lookup::{Trace, lookup};
use tollgate::scripts::park::{Destination, Parked};
use tollgate::scripts::settle::Answer;
use tollgate::scripts::{dead, promote};

use crate::space::*;

const DEAD: Destination = Destination::Dead(Code::WorkerLost);
/// Hours before now: of the ids that are below the floor in the end, of the floor at first, and at last.
const OLD: i64 = -400;
const FLOOR_FIRST: i64 = -500;
const FLOOR_LAST: i64 = -168;

/// What is known of the id.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    Receipt,
    Hold,
    Scheduled,
    Dead,
    Queued,
    Nothing,
    BadReceipt,
    BadHold,
    BadRow,
}

/// Which id.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Which {
    Timeless,
    Current,
    BelowFloor,
}

/// One id that is known, or not, in a namespace of its own.
struct Ground {
    space: Space,
    id: JobId,
    request: Request,
    other: Request,
}

impl Ground {
    async fn new(known: Known, which: Which, requests: fn(u64) -> Request) -> Self {
        let mut space = Space::new().await;
        space.make(open("a", 1_000)).await;
        space.set_floor(FLOOR_FIRST).await;
        let id = match which {
            Which::Timeless => id("mine"),
            Which::Current => timed_id(-1, 1),
            Which::BelowFloor => timed_id(OLD, 1),
        };
        let mut ground = Self { space, id, request: requests(5), other: requests(6) };
        ground.make_known(known, which).await;
        ground
    }

    async fn make_known(&mut self, known: Known, which: Which) {
        let bucket = match which {
            Which::Current => self.id.bucket(),
            Which::Timeless | Which::BelowFloor => Bucket::Kept,
        };
        let receipts = self.space.keys.receipts(bucket);
        let (parked, hold) = (self.space.keys.parked(), self.space.keys.hold(&self.id));
        match known {
            // Below the floor a receipt is there only of what was parked when the floor passed.
            Known::Receipt => {
                self.park(DEAD).await;
                self.space.set_floor(FLOOR_LAST).await;
                let request = self.request.clone();
                assert!(matches!(self.space.settle_as(&self.id, &request).await, Answer::Decided { .. }));
            }
            Known::Hold => {
                let request = self.request.clone();
                assert_eq!(self.space.settle_as(&self.id, &request).await.code(), Some(Code::Held));
                let bucket = self.space.keys.receipts(self.id.bucket());
                self.space.run(&["DEL", &bucket]).await;
            }
            Known::Scheduled => {
                let later = self.later().await;
                self.park(later).await;
            }
            Known::Dead => self.park(DEAD).await,
            Known::Queued => {
                self.park(DEAD).await;
                let queues = self.space.queues().await;
                let ids = [self.id.clone()];
                dead::retry(&mut self.space.link, &self.space.keys, &queues, &ids).await.unwrap();
            }
            Known::Nothing => {}
            Known::BadReceipt => {
                self.space.run(&["HSET", &receipts, self.id.as_str(), "scratched"]).await;
            }
            Known::BadHold => _ = self.space.run(&["HSET", &hold, "fingerprint", "scratched"]).await,
            Known::BadRow => _ = self.space.run(&["HSET", &parked, self.id.as_str(), "scratched"]).await,
        }
        self.space.set_floor(FLOOR_LAST).await;
    }

    async fn later(&mut self) -> Destination {
        Destination::Scheduled(Instant::from_ms(self.space.now_ms().await + 3_600_000).unwrap())
    }

    async fn park(&mut self, destination: Destination) {
        let entries = self.space.deliver("w", &[job(&self.id, self.request.clone())]).await;
        assert_eq!(self.space.park(&entries[0], destination).await.unwrap(), Parked::Moved);
    }

    /// An entry of the id, asking for `request`, in the hands of `w`.
    async fn entry(&mut self, request: &Request) -> (String, Job) {
        let job = job(&self.id, request.clone());
        self.space.enqueue(std::slice::from_ref(&job)).await;
        let mut fetched = self.space.fetch("w", 9).await;
        // The retried copy may be before it.
        fetched.pop().unwrap()
    }
}

/// An answer without its seq, which is 0 only where a row answers.
fn plain(answer: Answer) -> String {
    match answer {
        Answer::Decided { .. } => "executed".to_owned(),
        Answer::Replayed { .. } => "replayed".to_owned(),
        Answer::Mismatch { seq: 0 } => "mismatch of a row".to_owned(),
        Answer::Mismatch { .. } => "mismatch".to_owned(),
        Answer::Expired => "expired".to_owned(),
        Answer::NotOwner => "not owner".to_owned(),
        Answer::Undecided(code) => code.name().to_owned(),
    }
}

/// What the table says: the answer to the same request and to another, by settle and by park, and what lookup finds.
fn expected(known: Known, which: Which) -> [&'static str; 5] {
    match (known, which) {
        (Known::Receipt | Known::Hold, _) => ["replayed", "mismatch", "replayed", "mismatch", "receipt"],
        (Known::Scheduled, _) => {
            ["executed", "mismatch of a row", "already parked", "mismatch of a row", "scheduled"]
        }
        (Known::Dead, _) => ["executed", "mismatch of a row", "already parked", "mismatch of a row", "dead"],
        (Known::Queued, _) => ["executed", "mismatch of a row", "moved", "mismatch of a row", "queued"],
        (Known::Nothing, Which::BelowFloor) => ["expired", "expired", "expired", "expired", "expired"],
        (Known::Nothing, _) => ["executed", "executed", "moved", "moved", "none"],
        (Known::BadReceipt | Known::BadHold | Known::BadRow, _) => {
            ["corrupt_state", "corrupt_state", "corrupt_state", "corrupt_state", "damage"]
        }
    }
}

async fn by_settle(mut ground: Ground, request: Request, is_other: bool) -> String {
    let before = ground.space.dump().await;
    let (entry, job) = ground.entry(&request).await;
    let settlement = ground.space.settle(&[(Some(&entry), &job.id, &job.request)]).await.unwrap();
    let answer = plain(settlement.answers[0]);
    let after = ground.space.dump().await;
    if is_other && answer.starts_with("mismatch") {
        let kept = ["parked", "scheduled", "dead", "account:a", "journal"];
        let changed = before.changed(&after);
        assert!(!changed.iter().any(|key| kept.contains(&key.as_str())), "{changed:?}");
    }
    if answer == "executed" && !before.hash("parked").is_empty() {
        assert!(after.hash("parked").is_empty() && after.members("scheduled").is_empty());
        let waited = before.members("scheduled").len() + before.members("dead").len();
        assert_eq!(after.hash("head")["overtaken"], waited.to_string());
        assert!(after.members("dead").is_empty(), "the row went, and its place");
    }
    ground.space.stats().await;
    answer
}

async fn by_park(mut ground: Ground, request: Request) -> String {
    let before = ground.space.dump().await.hash("parked");
    let entry = ground.entry(&request).await;
    let parked = ground.space.park(&entry, DEAD).await.unwrap();
    let after = ground.space.dump().await.hash("parked");
    let what = match parked {
        Parked::Moved if after.values().any(|row| row.contains("\tcorrupt_state\t")) => {
            "corrupt_state".to_owned()
        }
        Parked::Moved => "moved".to_owned(),
        Parked::AlreadyParked => "already parked".to_owned(),
        Parked::Answered(answer) => plain(answer),
        other => format!("{other:?}"),
    };
    if !["moved", "corrupt_state"].contains(&what.as_str()) {
        assert_eq!(before, after, "{what}");
    }
    ground.space.stats().await;
    what
}

async fn by_lookup(mut ground: Ground) -> String {
    let ids = [ground.id.clone()];
    match lookup(&mut ground.space.link, &ground.space.keys, &ids).await {
        Ok((_, traces)) => match &traces[0] {
            Trace::Receipt { .. } => "receipt".to_owned(),
            Trace::Parked { state, .. } => state.name().to_owned(),
            Trace::Expired => "expired".to_owned(),
            Trace::None => "none".to_owned(),
        },
        Err(damage) => {
            assert!(damage.to_string().contains(ground.id.as_str()), "{damage}");
            "damage".to_owned()
        }
    }
}

/// One row of the table.
async fn judge(known: Known, which: Which, requests: fn(u64) -> Request) {
    let ground = async || Ground::new(known, which, requests).await;
    let [same, other] = [ground().await.request, ground().await.other];
    let got = [
        by_settle(ground().await, same.clone(), false).await,
        by_settle(ground().await, other.clone(), true).await,
        by_park(ground().await, same).await,
        by_park(ground().await, other).await,
        by_lookup(ground().await).await,
    ];
    assert_eq!(got, expected(known, which), "{known:?} {which:?}");
}

#[tokio::test]
async fn every_row_of_the_table_holds_in_every_script() {
    let withdraw: fn(u64) -> Request = |amount| withdraw("a", amount);
    let payout: fn(u64) -> Request = |amount| payout("a", amount);
    for which in [Which::Timeless, Which::Current, Which::BelowFloor] {
        for known in [
            Known::Receipt,
            Known::Scheduled,
            Known::Dead,
            Known::Queued,
            Known::Nothing,
            Known::BadReceipt,
            Known::BadRow,
        ] {
            judge(known, which, withdraw).await;
            judge(known, which, payout).await;
        }
    }
    // A hold without its receipt: only below the floor, where its bucket was dropped.
    judge(Known::Hold, Which::BelowFloor, payout).await;
    judge(Known::BadHold, Which::BelowFloor, payout).await;
}

/// A copy that is promoted or retried meets what came between: it is judged as any other entry.
#[tokio::test]
async fn a_copy_that_comes_back_finds_what_was_decided_meanwhile() {
    let mut ground = Ground::new(Known::Queued, Which::Current, |amount| withdraw("a", amount)).await;
    let s = &mut ground.space;
    assert!(matches!(s.settle_as(&ground.id, &ground.request).await, Answer::Decided { .. }));
    let entries = s.fetch("w", 9).await;
    let answers = s.settle_entries(&entries).await.answers;
    assert!(matches!(answers[..], [Answer::Replayed { .. }]), "{answers:?}");
    let queues = s.queues().await;
    assert_eq!(promote::promote(&mut s.link, &s.keys, &queues, 9).await.unwrap().promoted, 0);
    assert_eq!(s.dump().await.hash("account:a")["available"], "995");
}
