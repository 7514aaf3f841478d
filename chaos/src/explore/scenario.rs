//! The small fleets that are explored: who takes part, what there is at the beginning, how much may go wrong.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow};
use tollgate::Tollgate;
use tollgate::code::Code;
use tollgate::envelope::Envelope;
use tollgate::failure::Failure;
use tollgate::ids::{CaseId, InventoryId, ItemId, JobId, QueueName};
use tollgate::kinds::CaseAmend;
use tollgate::quantity::{Limit, Quantity, Version};
use tollgate::reason::Reason;
use tollgate::resource::Resource;
use tollgate::scripts::ScriptError;
use tollgate::scripts::dead::{self, DeadResult};
use tollgate::scripts::reservation;
use tollgate::stock::{Stock, StockItem};
use tollgate_worker::explore::LEASE;

use super::bound::Bound;
use super::process::Life;

/// Who takes part.
pub(super) enum Role {
    Worker,
    /// A producer or an operator: calls of the library, one after the other.
    Script(fn(Tollgate, Diary) -> Life),
}

/// What somebody was told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Word {
    Enqueued(&'static str),
    Discarded(&'static str),
    Cancelled(&'static str),
}

/// What producers and operators were told, in the order in which they heard it.
#[derive(Debug, Clone, Default)]
pub(super) struct Diary(Arc<Mutex<Vec<Word>>>);

impl Diary {
    fn add(&self, word: Word) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(word);
    }

    pub(super) fn words(&self) -> Vec<Word> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) fleet: Vec<(char, Role)>,
    /// Jobs in one settle call at most.
    pub(super) batch: usize,
    /// Whether workers pay.
    pub(super) pays: bool,
    /// Operations before the beginning, as JSON.
    pub(super) operations: &'static [&'static str],
    /// The items of the inventory, if there is one, each with how many there are, and how many of them one customer may have
    /// (0: any number); it is there before the operations.
    pub(super) stock: &'static [(&'static str, u64, u64)],
    /// Jobs that wait at the beginning, as JSON.
    pub(super) jobs: &'static [&'static str],
    /// The ids of all jobs.
    pub(super) ids: Vec<&'static str>,
    /// What these ids must have come to, if they are decided.
    pub(super) must: &'static [(&'static str, &'static str)],
    /// What the server's clock is stepped by.
    pub(super) tick_ms: i64,
    pub(super) bound: Bound,
    /// What is known to go wrong in it, by a part of what is found; every other finding is one.
    pub(super) known: Option<&'static str>,
}

const CAMPAIGN: &str = r#"{"id":"open-c","kind":"campaign_create","campaign":"c","limit":1}"#;
const ACCOUNT: &str =
    r#"{"id":"open-a","kind":"account_open","account":"a","balance":1000,"currency":"USD"}"#;
const FIRST: &str = r#"{"id":"first","kind":"redeem","campaign":"c","customer":"x"}"#;
const SECOND: &str = r#"{"id":"second","kind":"redeem","campaign":"c","customer":"y"}"#;
const CASE: &str = r#"{"id":"open-l","kind":"case_open","case":"l"}"#;
const APPROVE: &str = r#"{"id":"approve","kind":"decide","case":"l","decision":"approve","by":"ann"}"#;
const REJECT: &str =
    r#"{"id":"reject","kind":"decide","case":"l","decision":"reject","by":"bob","expect_version":1}"#;
const APPROVE_AMENDED: &str =
    r#"{"id":"amended","kind":"decide","case":"l","decision":"approve","by":"cleo","expect_version":2}"#;
const LATER: &str = r#"{"id":"later","kind":"withdraw","account":"a","amount":400,"currency":"USD","at":"2026-08-29T10:40:05Z"}"#;
const OTHER_LATER: &str = r#"{"id":"later","kind":"withdraw","account":"a","amount":900,"currency":"USD"}"#;
const PAYOUT: &str =
    r#"{"id":"payout","kind":"withdraw","account":"a","amount":400,"currency":"USD","destination":"iban"}"#;
const TAKE: &str = r#"{"id":"take","kind":"withdraw","account":"a","amount":600,"currency":"USD"}"#;
const POISON: &str = r#"{"id":"poison","kind":"redeem"}"#;
const EARLY: &str = r#"{"id":"early","kind":"redeem","campaign":"new","customer":"x"}"#;
const NEW: &str = r#"{"id":"open-new","kind":"campaign_create","campaign":"new","limit":1}"#;

/// The inventory of the fleets that have one.
pub(super) const INVENTORY: &str = "i";
const SALE: &str = r#"{"id":"open-i","kind":"inventory_create","inventory":"i"}"#;
const CART: &str = r#"{"id":"cart","kind":"reserve","inventory":"i","customer":"x","lines":[{"item":"seat"}],"hold_for_ms":1000}"#;
const PAY: &str = r#"{"id":"pay","kind":"commit","inventory":"i","reservation":"cart"}"#;
const WANTED: &str =
    r#"{"id":"wanted","kind":"purchase","inventory":"i","customer":"y","lines":[{"item":"seat"}]}"#;
const BOUGHT: &str = r#"{"id":"bought","kind":"purchase","inventory":"i","customer":"x","lines":[{"item":"seat"},{"item":"floor","quantity":2}]}"#;
const KEPT: &str =
    r#"{"id":"kept","kind":"purchase","inventory":"i","customer":"y","lines":[{"item":"floor"}]}"#;

const BOUND: Bound = Bound {
    deaths: 1,
    faults: 1,
    flushes: 1,
    preemptions: 2,
    takeovers: 1,
    looks: 0,
    ticks: 0,
    // As much as is walked whole in a few minutes.
    all: 1,
};

impl Scenario {
    pub(super) fn all() -> Vec<Self> {
        vec![
            Self::duplicates(),
            Self::batch(),
            Self::producer(),
            Self::delayed(),
            Self::payout(),
            Self::discard(),
            Self::cancel(),
            Self::giving_back(),
            Self::deciding(),
            Self::carts(),
            Self::returns(),
        ]
    }

    fn two_workers(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            fleet: vec![('A', Role::Worker), ('B', Role::Worker)],
            batch: 1,
            pays: false,
            operations: &[CAMPAIGN, ACCOUNT],
            stock: &[],
            jobs: &[],
            ids: vec!["first", "second", "later", "payout", "take", "poison", "early"],
            must: &[],
            tick_ms: 0,
            bound: BOUND,
            known: None,
        }
    }

    fn duplicates() -> Self {
        let about = "two workers; one coupon, a job for it that was sent twice";
        Self {
            jobs: &[FIRST, FIRST],
            bound: Bound { all: 2, ..BOUND },
            ..Self::two_workers("duplicates", about)
        }
    }

    fn batch() -> Self {
        let about = "two workers that take two at once; one coupon, two who want it, a job that is none";
        Self {
            jobs: &[FIRST, POISON, SECOND],
            batch: 2,
            bound: Bound { flushes: 0, all: 2, ..BOUND },
            ..Self::two_workers("batch", about)
        }
    }

    fn producer() -> Self {
        Self {
            fleet: vec![
                ('A', Role::Worker),
                ('P', Role::Script(|tollgate, diary| Box::pin(produce(tollgate, diary)))),
            ],
            jobs: &[],
            ..Self::two_workers(
                "producer",
                "a worker, and a producer that sends a job, an operation and the job again",
            )
        }
    }

    fn delayed() -> Self {
        Self {
            jobs: &[LATER, OTHER_LATER],
            tick_ms: 10_000,
            bound: Bound { ticks: 1, ..BOUND },
            ..Self::two_workers("delayed", "two workers; a job for later, and another request under its id")
        }
    }

    fn payout() -> Self {
        Self {
            jobs: &[PAYOUT],
            pays: true,
            tick_ms: LEASE.as_millis() as i64 + 600_000,
            bound: Bound { ticks: 1, looks: 3, flushes: 0, preemptions: 1, ..BOUND },
            ..Self::two_workers("payout", "two workers that pay, and one payout")
        }
    }

    fn discard() -> Self {
        Self {
            fleet: vec![
                ('A', Role::Worker),
                ('B', Role::Worker),
                ('O', Role::Script(|tollgate, diary| Box::pin(discard(tollgate, diary)))),
            ],
            jobs: &[EARLY],
            bound: Bound { flushes: 0, deaths: 0, faults: 0, all: 3, ..BOUND },
            ..Self::two_workers(
                "discard",
                "two workers, a job whose campaign does not exist yet; an operator discards it and creates the campaign",
            )
        }
    }

    fn cancel() -> Self {
        Self {
            fleet: vec![
                ('A', Role::Worker),
                ('B', Role::Worker),
                ('O', Role::Script(|tollgate, diary| Box::pin(cancel(tollgate, diary)))),
            ],
            jobs: &[LATER, LATER],
            tick_ms: 10_000,
            bound: Bound { flushes: 0, ticks: 1, ..BOUND },
            ..Self::two_workers(
                "cancel",
                "two workers, a job for later that was sent twice; an operator cancels it",
            )
        }
    }

    fn giving_back() -> Self {
        Self {
            fleet: vec![
                ('A', Role::Worker),
                ('O', Role::Script(|tollgate, _| Box::pin(give_back(tollgate, ["refund-o", "reverse-o"])))),
                ('P', Role::Script(|tollgate, _| Box::pin(give_back(tollgate, ["refund-p", "reverse-p"])))),
            ],
            operations: &[CAMPAIGN, ACCOUNT, TAKE, FIRST],
            jobs: &[SECOND],
            bound: Bound { takeovers: 0, ..BOUND },
            ..Self::two_workers(
                "giving-back",
                "a worker with a job for the one coupon that is issued; two operators that refund more than half of one \
                 withdrawal each, and reverse the redemption",
            )
        }
    }

    fn deciding() -> Self {
        Self {
            fleet: vec![
                ('A', Role::Script(|tollgate, _| Box::pin(decide(tollgate, APPROVE)))),
                ('B', Role::Script(|tollgate, _| Box::pin(decide(tollgate, REJECT)))),
                ('O', Role::Script(|tollgate, _| Box::pin(amend(tollgate)))),
            ],
            operations: &[CASE],
            bound: Bound { takeovers: 0, all: 2, ..BOUND },
            ..Self::two_workers(
                "deciding",
                "an officer who approves a case, another who rejects the version that was read, and one who amends it and \
                 approves that",
            )
        }
    }

    /// The seat is reserved and paid for. Whatever dies, is lost or late, and whenever the reservation may have ended: a
    /// commit that was sent in time wins, and whoever else wants the seat gets it only if it was given back.
    fn carts() -> Self {
        Self {
            fleet: vec![('A', Role::Worker), ('R', Role::Script(|tollgate, _| Box::pin(expire(tollgate))))],
            operations: &[],
            stock: &[("seat", 1, 0)],
            jobs: &[CART, PAY, WANTED],
            ids: vec!["cart", "pay", "wanted"],
            must: &[("pay", "committed")],
            tick_ms: 10_000,
            bound: Bound { flushes: 0, takeovers: 0, ticks: 1, ..BOUND },
            ..Self::two_workers(
                "carts",
                "a worker; a seat that is reserved, its commit, and somebody else who wants it; an agent that ends what \
                 is over; the clock",
            )
        }
    }

    fn returns() -> Self {
        Self {
            fleet: vec![
                ('A', Role::Worker),
                ('O', Role::Script(|tollgate, _| Box::pin(bring_back(tollgate, ["back-o", "swap-o"])))),
                ('P', Role::Script(|tollgate, _| Box::pin(bring_back(tollgate, ["back-p", "swap-p"])))),
            ],
            operations: &[BOUGHT, KEPT],
            stock: &[("seat", 1, 0), ("other", 1, 1), ("floor", 3, 2)],
            jobs: &[WANTED],
            ids: vec!["bought", "kept", "wanted"],
            bound: Bound { takeovers: 0, ..BOUND },
            ..Self::two_workers(
                "returns",
                "a worker with a purchase of a seat that is sold; two who return the same two of an order and exchange the seat \
                 for the same other one",
            )
        }
    }

    /// Everything that is there before the first call.
    pub(super) async fn set_up(&self, tollgate: &Tollgate) -> anyhow::Result<()> {
        let mut link = tollgate.server().link().await?;
        if !self.stock.is_empty() {
            self.load_stock(tollgate, &mut link).await?;
        }
        for text in self.operations {
            operate(tollgate, &mut link, text).await.map_err(|error| anyhow!("{text}: {error}"))?;
        }
        let queue = QueueName::default();
        for text in self.jobs {
            match Envelope::decode_job(text.as_bytes()) {
                Ok(job) => tollgate
                    .enqueue(&mut link, &queue, [&job])
                    .await?
                    .into_iter()
                    .collect::<Result<_, _>>()?,
                Err(_) => {
                    let mut command = redis::Cmd::new();
                    let stream = tollgate
                        .keys(tollgate::partition::Partitions::ONE.iter().next().context("a partition")?)
                        .queue(&queue);
                    command.arg("XADD").arg(stream).arg("*").arg("job").arg(*text);
                    link.run(&command).await?;
                }
            }
        }
        Ok(())
    }
}

impl Scenario {
    async fn load_stock(&self, tollgate: &Tollgate, link: &mut tollgate::link::Link) -> anyhow::Result<()> {
        operate(tollgate, link, SALE).await.map_err(|error| anyhow!("{SALE}: {error}"))?;
        let inventory = InventoryId::parse(INVENTORY)?;
        let items = self.stock.iter().map(|(name, number, most)| {
            let there = StockItem {
                quantity: Limit::new(*number).context("a count")?,
                per_customer: Quantity::new(*most),
            };
            Ok((ItemId::parse(*name)?, there))
        });
        let stock = Stock::new(items.collect::<anyhow::Result<Vec<_>>>()?)?;
        let keys = tollgate.keys(tollgate.partition_of(Resource::Inventory(&inventory)));
        stock.upload(link, keys, &inventory, |_| ()).await?;
        let request = stock.request(inventory);
        tollgate.settle_one(link, &JobId::parse("load")?, &request).await?;
        Ok(())
    }
}

async fn operate(
    tollgate: &Tollgate,
    link: &mut tollgate::link::Link,
    text: &str,
) -> Result<(), ScriptError> {
    let envelope =
        Envelope::decode(text.as_bytes()).map_err(|poison| Failure::unknown(poison.to_string()))?;
    let id = envelope.id.unwrap_or_else(JobId::fresh);
    tollgate.settle_one(link, &id, &envelope.request).await.map(drop)
}

/// Asks again until there is an answer, as `producer` does.
macro_rules! insist {
    ($call:expr) => {
        loop {
            match $call.await {
                Ok(done) => break done,
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
}

async fn produce(tollgate: Tollgate, diary: Diary) {
    let Ok(mut link) = tollgate.server().link().await else { return };
    let (Ok(first), Ok(take)) =
        (Envelope::decode_job(FIRST.as_bytes()), Envelope::decode_job(TAKE.as_bytes()))
    else {
        return;
    };
    let queue = QueueName::default();
    insist!(tollgate.enqueue(&mut link, &queue, [&first, &take]));
    diary.add(Word::Enqueued("first"));
    diary.add(Word::Enqueued("take"));
    insist!(operate(
        &tollgate,
        &mut link,
        r#"{"id":"deposit","kind":"deposit","account":"a","amount":100,"currency":"USD"}"#
    ));
    insist!(tollgate.enqueue(&mut link, &queue, [&first]));
}

/// Refunds of the withdrawal so much that only one of two can, and reverses the redemption.
async fn give_back(tollgate: Tollgate, [refund, reverse]: [&'static str; 2]) {
    let Ok(mut link) = tollgate.server().link().await else { return };
    let refund = format!(r#"{{"id":"{refund}","kind":"refund","account":"a","of":"take","amount":400}}"#);
    let reverse =
        format!(r#"{{"id":"{reverse}","kind":"reverse","campaign":"c","customer":"x","of":"first"}}"#);
    insist!(operate(&tollgate, &mut link, &refund));
    insist!(operate(&tollgate, &mut link, &reverse));
}

async fn decide(tollgate: Tollgate, decision: &'static str) {
    let Ok(mut link) = tollgate.server().link().await else { return };
    insist!(operate(&tollgate, &mut link, decision));
}

/// Amends the case that was read, and decides what it is then.
async fn amend(tollgate: Tollgate) {
    let Ok(mut link) = tollgate.server().link().await else { return };
    let (Ok(id), Ok(case)) = (JobId::parse("amend"), CaseId::parse("l")) else { return };
    let amend = CaseAmend {
        case,
        options: None,
        reason: Reason::parse("more").ok(),
        expect_version: Version::new(1),
    };
    insist!(tollgate.settle_one(&mut link, &id, &amend));
    insist!(operate(&tollgate, &mut link, APPROVE_AMENDED));
}

/// Ends what is over, as the releaser does.
async fn expire(tollgate: Tollgate) {
    let Ok(mut link) = tollgate.server().link().await else { return };
    let Some(keys) = tollgate.partitions().iter().next().map(|partition| tollgate.keys(partition).clone())
    else {
        return;
    };
    let horizon = insist!(reservation::horizon(&mut link, &keys));
    // What the releaser would not ask about yet, too: settle has to say no.
    let due = insist!(reservation::due(&mut link, &keys, horizon.at_ms, 4));
    if !due.is_empty() {
        insist!(reservation::expire(&mut link, &keys, &due, horizon.as_of_ms));
    }
}

/// Returns of the order so much that only one of two can, and takes the other seat for its own.
async fn bring_back(tollgate: Tollgate, [back, swap]: [&'static str; 2]) {
    let Ok(mut link) = tollgate.server().link().await else { return };
    let back = format!(
        r#"{{"id":"{back}","kind":"return","inventory":"i","order":"bought","lines":[{{"item":"floor","quantity":2}}]}}"#
    );
    let of = if swap == "swap-o" { "bought" } else { "kept" };
    let (from, to) = if swap == "swap-o" { ("seat", "other") } else { ("floor", "other") };
    let swap = format!(
        r#"{{"id":"{swap}","kind":"exchange","inventory":"i","order":"{of}","from":"{from}","to":"{to}"}}"#
    );
    insist!(operate(&tollgate, &mut link, &back));
    insist!(operate(&tollgate, &mut link, &swap));
}

/// Waits until the job is dead, discards it, and then creates the campaign that it lacked.
async fn discard(tollgate: Tollgate, diary: Diary) {
    let Ok(mut link) = tollgate.server().link().await else { return };
    let Ok(id) = JobId::parse("early") else { return };
    let Some(keys) = tollgate.partitions().iter().next().map(|partition| tollgate.keys(partition).clone())
    else {
        return;
    };
    // An operator discards what `dead ls` shows: two looks, so that the discard is a step of its own.
    for _ in 0..3 {
        if insist!(dead::discard(&mut link, &keys, std::slice::from_ref(&id))) == [DeadResult::Discarded] {
            diary.add(Word::Discarded("early"));
            insist!(operate(&tollgate, &mut link, NEW));
            return;
        }
    }
}

/// Cancels the job for later as soon as it is scheduled; gives up if it is decided by then.
async fn cancel(tollgate: Tollgate, diary: Diary) {
    let Ok(mut link) = tollgate.server().link().await else { return };
    let Ok(later) = Envelope::decode_job(LATER.as_bytes()) else { return };
    for _ in 0..3 {
        match insist!(tollgate.cancel(&mut link, &later.id, &later.request)).code() {
            Some(Code::Cancelled) => return diary.add(Word::Cancelled("later")),
            Some(Code::NotScheduled) => {}
            _ => return,
        }
    }
}
