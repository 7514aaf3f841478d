//! A partition with some of everything, which is damaged, photographed and put back as it was.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use redis::Value;
use tollgate::code::Code;
use tollgate::fetch::Row;
use tollgate::ids::JobId;
use tollgate::job::Job;
use tollgate::kinds::CampaignCreate;
use tollgate::scripts::park::Destination;

use super::codes;
use super::planted::{Damage, ENTRIES, FIELDS, KEYS, TYPES, VALUES};
use crate::harness::servers::on_words;
use crate::space::*;

/// Every key of a partition at a moment.
pub(super) struct Photograph {
    /// By DUMP; for a stream, that has its groups and pending entries in it.
    dumps: BTreeMap<String, Value>,
    contents: Dump,
}

impl Photograph {
    /// The keys that differ, were added or are gone. A hash may be another DUMP and the same: a Valkey moves fields
    /// from table to table while it only reads them.
    pub(super) fn changed(&self, after: &Self) -> Vec<String> {
        let names: BTreeSet<_> = self.dumps.keys().chain(after.dumps.keys()).collect();
        let is_same_hash = |name: &String| match (self.contents.0.get(name), after.contents.0.get(name)) {
            (Some(before @ Content::Hash(_)), Some(after)) => before == after,
            _ => false,
        };
        let differs = |name: &&String| self.dumps.get(*name) != after.dumps.get(*name) && !is_same_hash(name);
        names.into_iter().filter(differs).cloned().collect()
    }
}

/// A partition with some of everything, and the ids and entries that a batch can choose from.
pub(super) struct Ground {
    pub(super) space: Space,
    pub(super) ids: Vec<JobId>,
    /// Of a row of which some have left, with one that lies nowhere; and of a row that is whole.
    pub(super) entries: [Vec<String>; 2],
    known: (HashMap<String, Row>, HashMap<Row, Vec<String>>),
    pub(super) dead: JobId,
    pub(super) due: JobId,
    first: BTreeMap<String, Value>,
}

pub(super) async fn ground() -> Ground {
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
    s.park_due(&entries[1]).await;
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
    ground.first = ground.dumps().await;
    ground
}

impl Ground {
    pub(super) async fn damage(&mut self, damages: &[Damage]) {
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
                    let words = on_words(&["HSET", &name(key), FIELDS[field], VALUES[value]]);
                    push(&words.iter().map(String::as_str).collect::<Vec<_>>());
                    push(&["ZADD", &name(key), VALUES[value], FIELDS[field]]);
                }
                Damage::NoField(key, field) => {
                    let words = on_words(&["HDEL", &name(key), FIELDS[field]]);
                    push(&words.iter().map(String::as_str).collect::<Vec<_>>());
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

    pub(super) async fn photograph(&mut self) -> Photograph {
        Photograph { dumps: self.dumps().await, contents: self.space.dump().await }
    }

    async fn dumps(&mut self) -> BTreeMap<String, Value> {
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
    pub(super) async fn restore(&mut self) {
        self.space.know_again(&self.known);
        let now = self.dumps().await;
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
