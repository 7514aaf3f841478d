//! Foreign types and values in any key of a partition, then a script: it does all of its work or nothing,
//! and never raises an error half-way.
//!
//! "Nothing" is the same DUMP of every key, which for a stream holds its groups too.
//! "All of its work" is judged from the answers: each has its receipt, its line, its acknowledgement and its
//! resource as the line says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;
use redis::Value;
use tollgate::code::Code;
use tollgate::codes_name::CodesName;
use tollgate::fetch::Row;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{Bucket, JobId};
use tollgate::instant::Instant;
use tollgate::job::Job;
use tollgate::kinds::{
    AccountOpen, CampaignCreate, Event, Fields, JobRequest, Operation, Payout, Redeem, Request,
};
use tollgate::scripts::ScriptError;
use tollgate::scripts::park::{Destination, Parked};
use tollgate::scripts::settle::{Answer, Settlement};
use tollgate::scripts::{dead, promote};

use crate::property::holds;
use crate::space::*;

/// What is done to one key before the script runs.
#[derive(Debug, Clone)]
enum Damage {
    /// The key holds another type.
    Type(usize, usize),
    /// One field of a hash, or one member of a sorted set, holds another value.
    Field(usize, usize, usize),
    /// One field is gone.
    NoField(usize, usize),
    /// The key is gone.
    Gone(usize),
    /// A stream has an entry with this id.
    Entry(usize, usize),
    /// A stream's group is gone.
    NoGroup,
}

const KEYS: [&str; 22] = [
    "head",
    "queues",
    "queue:default",
    "in_flight:default",
    "journal",
    "parked",
    "scheduled",
    "dead",
    "receipts:kept",
    "receipts:now",
    "resources",
    "campaign:c0",
    "campaign:c1",
    "campaign:new",
    "holders:c0",
    "holders:c1",
    "account:a0",
    "account:a1",
    "account:new",
    "codes:",
    "payouts",
    "hold:mine",
];
const TYPES: [&[&str]; 6] = [
    &["SET", "", "text"],
    &["RPUSH", "", "element"],
    &["SADD", "", "member"],
    &["ZADD", "", "1", "mine"],
    &["HSET", "", "mine", "text"],
    &["XADD", "", "5-0", "field", "value"],
];
const FIELDS: [&str; 42] = [
    "format",
    "frozen",
    "receipts_floor",
    "floor_highest",
    "seq",
    "hash",
    "acked",
    "acked:default",
    "taken:default",
    "taken_count:default",
    "rows:default",
    "0-0",
    "replayed",
    "mismatched",
    "expired",
    "discarded",
    "overtaken",
    "to_scheduled",
    "to_dead",
    "requeued",
    "limit",
    "issued",
    "per_customer",
    "opens_at_ms",
    "closes_at_ms",
    "status",
    "codes",
    "codes_count",
    "available",
    "held",
    "currency",
    "u0",
    "u1",
    "mine",
    "decided",
    "dead",
    "due",
    "default",
    "state",
    "attempts",
    "amount",
    "fingerprint",
];
const VALUES: [&str; 29] = [
    "",
    "0",
    "1",
    "2",
    "007",
    "-1",
    "1.5",
    "1e3",
    "0x10",
    "nan",
    " 1",
    "+1",
    "9007199254740990",
    "9007199254740991",
    "9007199254740992",
    "18446744073709551616",
    "open",
    "closed",
    "active",
    "USD",
    "EUR",
    "0123456789abcdef redeemed 1",
    "0123456789abcdef redeemed",
    "dead\t0123456789abcdef\t0\tdefault\tworker_lost\t1\t{}",
    "queued\t0123456789abcdef\t0\tnone\t\t1\t",
    "x\0y\tz\n",
    "0123456789abcdef\tw\t1\t1\t5-0\t3\t",
    "0123456789abcdef\tw\t1\t1\t5-0\t1\t5-0",
    "0123456789abcdef\tw\t1\t1\t5-0\t2\t5-0",
];
const ENTRIES: [&str; 4] = ["0-1", "4-0", "9007199254740991-0", "18446744073709551615-18446744073709551615"];

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let key = 0..KEYS.len();
    let field = 0..FIELDS.len();
    let one = prop_oneof![
        3 => (key.clone(), 0..TYPES.len()).prop_map(|(key, of)| Damage::Type(key, of)),
        8 => (key.clone(), field.clone(), 0..VALUES.len()).prop_map(|(key, field, value)| Damage::Field(key, field, value)),
        2 => (key.clone(), field).prop_map(|(key, field)| Damage::NoField(key, field)),
        1 => key.clone().prop_map(Damage::Gone),
        1 => (key, 0..ENTRIES.len()).prop_map(|(key, entry)| Damage::Entry(key, entry)),
        1 => Just(Damage::NoGroup),
    ];
    prop::collection::vec(one, 0..4)
}

/// One job of the batch: kind, resource, who, how much, id, entry; numbers choose from short lists.
type Choice = (usize, usize, usize, usize, usize, usize);

fn batch() -> impl Strategy<Value = Vec<Choice>> {
    prop::collection::vec((0..9_usize, 0..3_usize, 0..2_usize, 0..7_usize, 0..8_usize, 0..4_usize), 1..7)
}

const QUANTITIES: [u64; 7] = [1, 2, 1, 7, 9_007_199_254_740_990, 9_007_199_254_740_991, 1];

fn request((kind, resource, who, much, ..): Choice) -> Request {
    let (campaign, account) = (["c0", "c1", "new"][resource], ["a0", "a1", "new"][resource]);
    let (customer, number) = (["u0", "u1"][who], QUANTITIES[much]);
    match kind {
        0 | 1 => redeem(campaign, customer, number),
        2 => withdraw(account, number),
        3 => deposit(account, number),
        4 if who == 0 => create(campaign, number),
        4 => CampaignCreate { codes: Some(codes()), ..terms(campaign, 2) }.into(),
        5 => open(account, number),
        6 if who == 0 => set_limit(campaign, number, None),
        6 => close(account),
        8 => Payout {
            account: account.parse().unwrap(),
            amount: tollgate::amount::Amount::from_minor(number).unwrap(),
            currency: "USD".parse().unwrap(),
            destination: tollgate::ids::Destination::parse("iban").unwrap(),
        }
        .into(),
        _ if who == 0 => end(campaign),
        _ => set_limit(campaign, number, Some(3)),
    }
}

fn codes() -> CodesName {
    CodesName::parse(&"c".repeat(64)).unwrap()
}

/// A partition with some of everything, and the ids and entries that a batch can choose from.
struct Ground {
    space: Space,
    ids: Vec<JobId>,
    /// Of a row of which some have left, with one that lies nowhere; and of a row that is whole.
    entries: [Vec<String>; 2],
    known: (HashMap<String, Row>, HashMap<Row, Vec<String>>),
    dead: JobId,
    due: JobId,
    first: BTreeMap<String, Value>,
}

async fn ground() -> Ground {
    let mut space = Space::new().await;
    let s = &mut space;
    let upload = s.keys.codes(&codes());
    s.run(&["HSET", &upload, "1", "one", "2", "two"]).await;
    let mut bounded = terms("c0", 3);
    bounded.per_customer = tollgate::quantity::Quantity::new(2);
    let decided = id("decided");
    let setup = [
        (JobId::fresh(), bounded.into()),
        (JobId::fresh(), CampaignCreate { codes: Some(codes()), ..terms("c1", 2) }.into()),
        (JobId::fresh(), open("a0", 10)),
        (JobId::fresh(), open("a1", 9_007_199_254_740_989)),
        (decided.clone(), redeem("c0", "u0", 1)),
    ];
    let jobs: Vec<_> = setup.iter().map(|(id, request)| (None, id, request)).collect();
    s.settle(&jobs).await.unwrap();
    // Below the floor: one parked as dead, one scheduled and due.
    s.set_floor(-1000).await;
    let (dead, due, expired) = (timed_id(-500, 1), timed_id(-500, 2), timed_id(-500, 3));
    let jobs: Vec<Job> = [&dead, &due, &decided, &decided, &decided, &decided, &decided]
        .into_iter()
        .map(|id| job(id, redeem("c0", "u0", 1)))
        .collect();
    let entries = s.deliver("w", &jobs[..5]).await;
    let whole = s.deliver("w", &jobs[5..]).await;
    s.enqueue(&jobs[..1]).await;
    s.park(&entries[0], Destination::Dead(Code::WorkerLost)).await.unwrap();
    let soon = s.now_ms().await + 2;
    s.park(&entries[1], Destination::Scheduled(Instant::from_ms(soon).unwrap())).await.unwrap();
    s.set_floor(-168).await;
    let ids = vec![
        JobId::fresh(),
        JobId::fresh(),
        id("mine"),
        decided,
        dead.clone(),
        due.clone(),
        expired,
        timed_id(30, 4),
    ];
    let name = |(entry, _): &(String, Job)| entry.clone();
    let some = [name(&entries[2]), "1-1".to_owned(), name(&entries[3]), name(&entries[4])];
    let entries = [some.to_vec(), whole.iter().map(name).collect()];
    let known = space.known();
    let mut ground = Ground { space, ids, entries, known, dead, due, first: BTreeMap::new() };
    ground.first = ground.photograph().await;
    ground
}

impl Ground {
    async fn damage(&mut self, damages: &[Damage]) {
        let tag = self.space.keys.head().trim_end_matches("head").to_owned();
        let hour = self.space.now_ms().await / 3_600_000;
        let name = |key: usize| match KEYS[key] {
            "receipts:now" => format!("{tag}receipts:{hour}"),
            "codes:" => self.space.keys.codes(&codes()),
            other => format!("{tag}{other}"),
        };
        for damage in damages {
            let mut pipeline = redis::pipe();
            let mut push = |words: &[&str]| _ = pipeline.cmd(words[0]).arg(&words[1..]);
            match *damage {
                Damage::Type(key, of) => {
                    let key = name(key);
                    push(&["DEL", &key]);
                    let words: Vec<&str> = TYPES[of]
                        .iter()
                        .map(|word| if word.is_empty() { key.as_str() } else { word })
                        .collect();
                    push(&words);
                }
                Damage::Field(key, field, value) => {
                    push(&["HSET", &name(key), FIELDS[field], VALUES[value]]);
                    push(&["ZADD", &name(key), VALUES[value], FIELDS[field]]);
                }
                Damage::NoField(key, field) => {
                    push(&["HDEL", &name(key), FIELDS[field]]);
                    push(&["ZREM", &name(key), FIELDS[field]]);
                }
                Damage::Gone(key) => push(&["DEL", &name(key)]),
                Damage::Entry(key, entry) => push(&["XADD", &name(key), ENTRIES[entry], "job", "{}"]),
                Damage::NoGroup => push(&["XGROUP", "DESTROY", &name(2), "cursor"]),
            }
            // What does not fit the key's type is simply not done.
            self.space.link.run_pipeline(&pipeline).await.unwrap();
        }
    }

    /// The DUMP of every key; for a stream, that has its groups and pending entries in it.
    async fn photograph(&mut self) -> BTreeMap<String, Value> {
        let tag = self.space.keys.head().trim_end_matches("head").to_owned();
        let names: Vec<String> =
            self.space.link.query(&crate::harness::cmd(&["KEYS", &format!("{tag}*")])).await.unwrap();
        let mut pipeline = redis::pipe();
        names.iter().for_each(|name| _ = pipeline.cmd("DUMP").arg(name));
        let dumps = self.space.link.run_pipeline(&pipeline).await.unwrap();
        names
            .into_iter()
            .zip(dumps)
            .map(|(name, dump)| (name.trim_start_matches(&tag).to_owned(), dump.unwrap()))
            .collect()
    }

    /// Puts every key back as it was at first.
    async fn restore(&mut self) {
        self.space.know_again(&self.known);
        let now = self.photograph().await;
        let tag = self.space.keys.head().trim_end_matches("head").to_owned();
        let mut pipeline = redis::pipe();
        for name in now.keys().filter(|name| now.get(*name) != self.first.get(*name)) {
            pipeline.cmd("UNLINK").arg(format!("{tag}{name}"));
        }
        for (name, dump) in self.first.iter().filter(|(name, dump)| now.get(*name) != Some(dump)) {
            let Value::BulkString(bytes) = dump else { panic!("{name}: {dump:?}") };
            pipeline.cmd("RESTORE").arg(format!("{tag}{name}")).arg(0).arg(bytes).arg("REPLACE");
        }
        for reply in self.space.link.run_pipeline(&pipeline).await.unwrap() {
            reply.unwrap();
        }
    }
}

/// A refusal that says for certain that nothing happened, as every refusal of a script must.
fn definite(error: &ScriptError) -> Result<(), String> {
    match error.code() {
        Some(_) if !matches!(error, ScriptError::Failure(_)) => Ok(()),
        _ => Err(format!("raised half-way: {error}")),
    }
}

fn expect(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

#[test]
fn settle_does_everything_or_nothing() {
    holds((damages(), batch()), ground, async |ground, (damages, choices)| {
        ground.restore().await;
        ground.damage(&damages).await;
        let requests: Vec<Request> = choices.iter().map(|choice| request(*choice)).collect();
        let ids: Vec<JobId> = choices.iter().map(|choice| ground.ids[choice.4].clone()).collect();
        // Settled directly, or from one of the rows.
        let entries: Vec<Option<String>> = match choices[0].5 {
            0 => vec![None; choices.len()],
            row => ground.entries[row % 2].iter().cloned().map(Some).collect(),
        };
        let jobs: Vec<_> = (0..choices.len().min(entries.len()))
            .map(|i| (entries[i].as_deref(), &ids[i], &requests[i]))
            .collect();
        let before = ground.photograph().await;
        let typed_before = ground.space.dump().await;
        match ground.space.settle(&jobs).await {
            Err(error) => definite(&error).and(nothing_changed(&before, &ground.photograph().await)),
            Ok(settlement)
                if settlement
                    .answers
                    .iter()
                    .all(|answer| matches!(answer, Answer::Undecided(_) | Answer::NotOwner)) =>
            {
                nothing_changed(&before, &ground.photograph().await)
            }
            Ok(settlement) => {
                let after = ground.space.dump().await;
                full_effect(&mut ground.space, &jobs, &settlement, &ground.entries[1], &typed_before, &after)
                    .await
            }
        }
    });
}

fn nothing_changed(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Result<(), String> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changed: Vec<_> = names.into_iter().filter(|name| before.get(*name) != after.get(*name)).collect();
    expect(changed.is_empty(), || format!("nothing was decided, but {changed:?} changed"))
}

/// A hash; nothing if the key is absent or of another type.
fn rows(dump: &Dump, key: &str) -> BTreeMap<String, String> {
    match dump.0.get(key) {
        Some(Content::Hash(rows)) => rows.clone(),
        _ => BTreeMap::new(),
    }
}

fn number(rows: &BTreeMap<String, String>, field: &str) -> i128 {
    rows.get(field).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The entries that lie in a row; `whole` are those of the one that nothing has left.
fn in_flight(dump: &Dump, whole: &[String]) -> BTreeSet<String> {
    let place = |entry: &str| {
        let (ms, seq) = entry.split_once('-')?;
        Some((ms.parse::<u64>().ok()?, seq.parse::<u64>().ok()?))
    };
    let mut found = BTreeSet::new();
    for (key, row) in rows(dump, "in_flight:default") {
        let words: Vec<&str> = row.split('\t').collect();
        let (Some(last), Some(ids)) = (words.get(4), words.get(6)) else { continue };
        let is_in = |entry: &&String| place(entry) > place(&key) && place(entry) <= place(last);
        found.extend(ids.split_whitespace().map(str::to_owned));
        if ids.is_empty() {
            found.extend(whole.iter().filter(is_in).cloned());
        }
    }
    found
}

/// Judges what settle did by its answers.
async fn full_effect(
    space: &mut Space,
    jobs: &[(Option<&str>, &JobId, &Request)],
    settlement: &Settlement,
    whole: &[String],
    before: &Dump,
    after: &Dump,
) -> Result<(), String> {
    let mut allowed = BTreeSet::from(["head".to_owned()]);
    let (head_before, head) = (rows(before, "head"), rows(after, "head"));
    let floor = number(&head_before, "receipts_floor");
    let grown = |field: &str| number(&head, field) - number(&head_before, field);
    // What does not lie in the caller's row is answered, and counts nothing.
    let owned: Vec<bool> = jobs
        .iter()
        .map(|(entry, ..)| entry.is_none_or(|entry| in_flight(before, whole).contains(entry)))
        .collect();
    let count = |of: fn(&Answer) -> bool| {
        settlement.answers.iter().zip(&owned).filter(|(answer, owned)| **owned && of(answer)).count() as i128
    };

    // The head counts what was answered, and nothing else in it changes.
    let decided = count(|answer| matches!(answer, Answer::Decided { .. }));
    expect(grown("seq") == decided, || format!("seq grew by {}", grown("seq")))?;
    expect(grown("replayed") == count(|answer| matches!(answer, Answer::Replayed { .. })), || {
        "replayed".into()
    })?;
    expect(grown("mismatched") == count(|answer| matches!(answer, Answer::Mismatch { .. })), || {
        "mismatched".into()
    })?;
    expect(grown("expired") == count(|answer| matches!(answer, Answer::Expired)), || "expired".into())?;
    let own = [
        "seq",
        "hash",
        "acked",
        "acked:default",
        "rows:default",
        "replayed",
        "mismatched",
        "expired",
        "overtaken",
    ];
    let is_own = |field: &str| own.contains(&field) || field.starts_with("dead:");
    for (field, value) in head_before.iter().filter(|(field, _)| !is_own(field)) {
        expect(head.get(field) == Some(value), || format!("head: {field} changed"))?;
    }

    // Every settled entry, and no other, left its row, and was counted.
    let settled: BTreeSet<String> = jobs
        .iter()
        .zip(&settlement.answers)
        .filter(|(_, answer)| !matches!(answer, Answer::Undecided(_) | Answer::NotOwner))
        .filter_map(|((entry, ..), _)| entry.map(str::to_owned))
        .collect();
    let acknowledged: BTreeSet<String> = in_flight(before, whole).intersection(&settled).cloned().collect();
    let expected: BTreeSet<String> = in_flight(before, whole).difference(&settled).cloned().collect();
    expect(in_flight(after, whole) == expected, || format!("in flight: {:?}", in_flight(after, whole)))?;
    expect(grown("acked") == acknowledged.len() as i128, || format!("acked grew by {}", grown("acked")))?;
    if !settled.is_empty() {
        allowed.extend(["queue:default".to_owned(), "in_flight:default".to_owned()]);
    }

    if decided > 0 {
        // One journal entry whose lines are the decisions, chained to the one before.
        let queue = space.keys.clone();
        let seq = settlement.seq_before + 1;
        let entries = tollgate::journal::read(&mut space.link, &queue, seq, 10).await.unwrap();
        let entries = entries.map_err(|damage| damage.to_string())?;
        let [entry] = &entries[..] else { return Err(format!("{} new journal entries", entries.len())) };
        expect(entry.expected_hash(&head_before["hash"]) == entry.hash, || "the chain is broken".into())?;
        expect(head["hash"] == entry.hash, || "the head has another hash than its entry".into())?;
        let lines = entry.lines().map_err(|damage| damage.to_string())?;
        let mut decisions =
            jobs.iter().zip(&settlement.answers).filter_map(|((_, id, request), answer)| match answer {
                Answer::Decided { code, seq } => {
                    Some(((*id).clone(), Event::from((*request).clone()), *code, *seq))
                }
                _ => None,
            });
        for line in &lines {
            let told = (line.id.clone(), line.event.clone(), line.code, line.seq);
            expect(decisions.next() == Some(told), || format!("a line that was not answered: {line:?}"))?;
        }
        expect(decisions.next().is_none(), || "a decision without a line".into())?;
        allowed.insert("journal".to_owned());

        let mut receipts: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut overtaken = 0;
        for line in &lines {
            let bucket = match line.id.bucket() {
                Bucket::Hour(hour) if i128::from(hour) >= floor => format!("receipts:{hour}"),
                _ => "receipts:kept".to_owned(),
            };
            let text = format!("{} {} {}", Fingerprint::of(&line.event), line.code, line.seq);
            receipts
                .entry(bucket.clone())
                .or_insert_with(|| rows(before, &bucket))
                .insert(line.id.to_string(), text);
            for index in ["scheduled", "dead"] {
                let was = |dump: &Dump| match dump.0.get(index) {
                    Some(Content::Zset(rows)) => rows.iter().any(|(member, _)| *member == line.id.as_str()),
                    _ => false,
                };
                // Without a row nobody looks at the indexes.
                if rows(before, "parked").contains_key(line.id.as_str()) {
                    allowed.extend([index.to_owned(), "parked".to_owned()]);
                    overtaken += i128::from(was(before));
                    expect(!was(after), || format!("{index} still has a decided id"))?;
                }
            }
            expect(!rows(after, "parked").contains_key(line.id.as_str()), || {
                "a parked row of a decided id".into()
            })?;
        }
        let dead_before = before.members_or_none("dead");
        let left =
            dead_before.iter().filter(|id| !after.members_or_none("dead").contains(id)).count() as i128;
        let counted = |head: &BTreeMap<String, String>| -> i128 {
            head.keys().filter(|field| field.starts_with("dead:")).map(|field| number(head, field)).sum()
        };
        // One whose reason was damaged is counted with the damaged ones, of which there were none.
        expect((counted(&head_before) - counted(&head)..=left).contains(&left), || "dead by reason".into())?;
        expect(grown("overtaken") == overtaken, || format!("overtaken grew by {}", grown("overtaken")))?;
        for (bucket, expected) in receipts {
            expect(rows(after, &bucket) == expected, || format!("{bucket}: {:?}", rows(after, &bucket)))?;
            allowed.insert(bucket);
        }
        resources(&lines, before, after, &mut allowed)?;
    }
    let stray: Vec<_> = before.changed(after).into_iter().filter(|key| !allowed.contains(key)).collect();
    expect(stray.is_empty(), || format!("{stray:?} changed too"))
}

/// Each resource is as its last line says, its seq that of its last change; holders grew by what was redeemed.
fn resources(
    lines: &[tollgate::journal::Line],
    before: &Dump,
    after: &Dump,
    allowed: &mut BTreeSet<String>,
) -> Result<(), String> {
    let mut customers: BTreeMap<(String, String), i128> = BTreeMap::new();
    for line in lines {
        let key = line.event.resource().to_string();
        let now = rows(after, &key);
        let last = lines.iter().rfind(|other| other.event.resource() == line.event.resource()).unwrap();
        let value = now.get(if key.starts_with("account") { "available" } else { "issued" });
        let value = value.and_then(|text| text.parse::<u64>().ok());
        expect(value == last.after, || format!("{key} is {now:?}, its last line says {last:?}"))?;
        let changes = |line: &tollgate::journal::Line| {
            line.code == Code::Held || line.code.class() == tollgate::code::Class::Applied
        };
        if !changes(line) {
            continue;
        }
        allowed.insert(key.clone());
        let mut of_same = lines.iter().filter(|other| other.event.resource() == line.event.resource());
        let changed = of_same.rfind(|other| changes(other)).unwrap();
        expect(now["seq"] == changed.seq.to_string(), || {
            format!("{key}: seq {} after {changed:?}", now["seq"])
        })?;
        match &line.event {
            Event::Job(JobRequest::Redeem(Redeem { campaign, customer, quantity })) => {
                allowed.insert(format!("holders:{campaign}"));
                let count = customers.entry((campaign.to_string(), customer.to_string()));
                *count.or_default() += i128::from(quantity.get());
            }
            Event::Job(JobRequest::Payout(Payout { .. })) => {
                allowed.extend([format!("hold:{}", line.id), "payouts".to_owned()]);
                let hold = rows(after, &format!("hold:{}", line.id));
                let told = [hold["state"].clone(), hold["seq"].clone()];
                expect(told == ["held".to_owned(), line.seq.to_string()], || format!("{hold:?}"))?;
                let queued = after.members("payouts").contains(&format!(
                    "{}\t{}",
                    line.event.resource().id(),
                    line.id
                ));
                expect(queued, || format!("{} is not in payouts", line.id))?;
            }
            Event::Operation(Operation::CampaignCreate(_))
            | Event::Operation(Operation::AccountOpen(AccountOpen { .. })) => {
                allowed.insert("resources".to_owned());
                expect(after.members("resources").contains(&key), || format!("{key} is not in the index"))?;
            }
            _ => {}
        }
    }
    for ((campaign, customer), redeemed) in customers {
        let key = format!("holders:{campaign}");
        let held = |dump: &Dump| number(&rows(dump, &key), &customer);
        expect(held(after) - held(before) == redeemed, || format!("{key}: {customer} grew otherwise"))?;
    }
    Ok(())
}

/// The two sides of the conservation law, subtracted; `None` where damage keeps it from being read.
async fn imbalance(space: &mut Space) -> Option<i128> {
    let queues = [space.queue.clone()];
    let stats = tollgate::scripts::stats::stats(&mut space.link, &space.keys, &queues).await.ok()?;
    let head = &stats.head;
    let added: u64 = stats.queues.iter().map(|queue| queue.entries_added).sum();
    if head.acked < head.to_scheduled + head.to_dead || added < head.requeued {
        return None; // the counters themselves are damaged, and clamped where they are read
    }
    if stats.queues.iter().any(|queue| queue.problem.is_some()) {
        return None; // what a lost queue held counts as lost only once it is repaired
    }
    let (accepted, found) = stats.conservation();
    Some(i128::from(accepted) - i128::from(found))
}

/// Whether a parked job is not in the set that its row names.
fn has_lost_its_place(dump: &Dump, id: &JobId) -> bool {
    let rows = rows(dump, "parked");
    let state = rows.get(id.as_str()).and_then(|row| row.split('\t').next());
    state.is_some_and(|state| {
        ["scheduled", "dead"].contains(&state) && !dump.members_or_none(state).contains(&id.to_string())
    })
}

/// The moves: they change all that belongs together or nothing, and keep the conservation law as it was.
#[test]
fn moves_do_everything_or_nothing() {
    holds(
        (damages(), 0..4_usize, 0..3_usize, 0..6_usize),
        ground,
        async |ground, (damages, script, id, entry)| {
            ground.restore().await;
            ground.damage(&damages).await;
            let before = ground.photograph().await;
            let imbalance_before = imbalance(&mut ground.space).await;
            let (dead, due) = (ground.dead.clone(), ground.due.clone());
            let entry = ground.entries.concat()[entry].clone();
            let space = &mut ground.space;
            let queues = [space.queue.clone()];
            let ids = [dead, due, JobId::fresh()];
            let mut put_back = 0;
            let verdict = match script {
                0 => dead::retry(&mut space.link, &space.keys, &queues, &ids).await.map(drop),
                1 => dead::discard(&mut space.link, &space.keys, &ids).await.map(drop),
                2 => promote::promote(&mut space.link, &space.keys, &queues, 10).await.map(drop),
                _ => {
                    let parked = (entry, job(&ids[id], redeem("c0", "u0", 1)));
                    let has_lost_its_place = has_lost_its_place(&space.dump().await, &ids[id]);
                    let parked = space.park(&parked, Destination::Dead(Code::WorkerLost)).await;
                    let is_put_back = has_lost_its_place && matches!(parked, Ok(Parked::AlreadyParked));
                    put_back = i128::from(is_put_back);
                    parked.map(drop)
                }
            };
            let after = ground.photograph().await;
            match verdict {
                Err(ScriptError::StaleKeys) => nothing_changed(&before, &after),
                Err(error) => definite(&error).and(nothing_changed(&before, &after)),
                Ok(()) => {
                    let own = ["head", "parked", "scheduled", "dead", "queue:default", "in_flight:default"];
                    let stray: Vec<_> = after
                        .iter()
                        .filter(|(key, dump)| !own.contains(&key.as_str()) && before.get(*key) != Some(dump))
                        .collect();
                    let now = imbalance(&mut ground.space).await;
                    // A job that gets its lost place back is found again.
                    let expected = imbalance_before.map(|before| before - put_back);
                    expect(stray.is_empty(), || format!("{stray:?} changed too"))
                        .and(expect(expected.is_none() || now == expected, || {
                            format!("the law was off by {imbalance_before:?}, now by {now:?}")
                        }))
                }
            }
        },
    );
}
