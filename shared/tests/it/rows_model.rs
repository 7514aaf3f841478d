//! A random model of rows in flight: take, settle, park, recover, split, hand back, trim, and what comes in between
//! (deaths, lost replies, calls that are executed late, a group that somebody else moved, entries deleted by hand, a Redis
//! that lost its latest writes).
//!
//! It is the argument for the rules of the rows (ARCHITECTURE.md, "Ranges in flight"): each odd-looking one is left out by
//! a variant here, and every variant is caught. Pure and seeded: a failure names its seed.

mod life;
mod scripts;
mod takeover;

use std::collections::{BTreeMap, BTreeSet};

/// Entries of one run; their ids are 1 to this.
const ENTRIES: u32 = 24;
const STEPS: usize = 600;
const RUNS: u64 = 1_500;

/// What a run leaves out of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    AsBuilt,
    /// The group is read from wherever it stands.
    NoBegin,
    /// Whoever has the row's token may decide any entry.
    TokenAlone,
    /// The row's token is not compared.
    TokenIgnored,
    /// What is in no row of the caller's is decided all the same.
    ZombieDecides,
    /// A row becomes what the caller leaves of it.
    RowIsLeft,
    /// The trim goes up to the last entry that was taken.
    TrimAboveRows,
    /// A suspected row is not split.
    NoSplit,
    /// What is behind a suspect counts as delivered as often.
    RestIsSuspect,
    /// A row that is handed back keeps the delivery that ended without harm.
    HandBackCounts,
    /// A suspect is taken over while other batches are worked on.
    SuspectInCompany,
    /// What a row has and its caller does not name leaves it.
    UnknownLeaves,
}

/// What is left of a row, as it is written.
#[derive(Debug, Clone)]
enum Entries {
    /// All up to `last`, so many.
    Range {
        last: u32,
        count: usize,
    },
    Ids(BTreeSet<u32>),
}

#[derive(Debug, Clone)]
struct Row {
    token: u32,
    worker: u32,
    deliveries: u32,
    entries: Entries,
    /// What is really in it: for the judge alone.
    truth: BTreeSet<u32>,
}

/// What a worker holds: the row as it read it, and what of it is still to do.
#[derive(Debug, Clone)]
struct Batch {
    key: u32,
    token: u32,
    left: BTreeSet<u32>,
    /// Nothing else is worked on beside it.
    alone: bool,
    executing: bool,
}

/// A settle call that is under way.
#[derive(Debug, Clone)]
struct Call {
    key: u32,
    token: u32,
    jobs: BTreeSet<u32>,
    left: BTreeSet<u32>,
}

#[derive(Debug, Default)]
struct Worker {
    name: u32,
    hand: Vec<Batch>,
}

/// What is in Redis, and what the judge counts of it.
#[derive(Debug, Clone)]
struct Stored {
    stream: BTreeSet<u32>,
    /// The last entry that was taken, and where the group stands.
    taken: u32,
    group: u32,
    taken_count: usize,
    acked: usize,
    vanished: usize,
    rows: BTreeMap<u32, Row>,
    deleted: BTreeSet<u32>,
    left_rows: BTreeMap<u32, usize>,
    decided: BTreeSet<u32>,
    parked: BTreeSet<u32>,
    discarded: BTreeSet<u32>,
    dead: BTreeSet<u32>,
}

struct Run {
    variant: Variant,
    random: u64,
    stored: Stored,
    /// What Redis comes back with if it loses its latest writes.
    on_disk: Stored,
    poison: BTreeSet<u32>,
    next: u32,
    workers: Vec<Worker>,
    gone: BTreeSet<u32>,
    late: Vec<Call>,
    died_alone: BTreeMap<u32, u32>,
    was_split: bool,
    wrong: BTreeSet<&'static str>,
}

impl Run {
    fn new(seed: u64, variant: Variant) -> Self {
        let stored = Stored {
            stream: (1..=ENTRIES).collect(),
            taken: 0,
            group: 0,
            taken_count: 0,
            acked: 0,
            vanished: 0,
            rows: BTreeMap::new(),
            deleted: BTreeSet::new(),
            left_rows: BTreeMap::new(),
            decided: BTreeSet::new(),
            parked: BTreeSet::new(),
            discarded: BTreeSet::new(),
            dead: BTreeSet::new(),
        };
        let mut run = Self {
            variant,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            on_disk: stored.clone(),
            stored,
            poison: BTreeSet::new(),
            next: 100,
            workers: (0..3).map(|name| Worker { name, hand: Vec::new() }).collect(),
            gone: BTreeSet::new(),
            late: Vec::new(),
            died_alone: BTreeMap::new(),
            was_split: false,
            wrong: BTreeSet::new(),
        };
        for _ in 0..run.below(3) {
            let entry = 1 + run.below(ENTRIES as usize) as u32;
            run.poison.insert(entry);
        }
        run
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as usize % bound
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn some(&mut self, of: &BTreeSet<u32>, percent: usize) -> BTreeSet<u32> {
        of.iter().copied().filter(|_| self.chance(percent)).collect()
    }

    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn is(&self, variant: Variant) -> bool {
        self.variant == variant
    }

    fn judge(mut self) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
        for _ in 0..STEPS {
            self.step();
            let in_flight: usize = self
                .stored
                .rows
                .values()
                .map(|row| match &row.entries {
                    Entries::Range { count, .. } => *count,
                    Entries::Ids(ids) => ids.len(),
                })
                .sum();
            if self.stored.acked + in_flight != self.stored.taken_count {
                self.wrong.insert("not conserved");
            }
        }
        self.drain();
        for entry in 1..=ENTRIES {
            let is_settled = self.stored.decided.contains(&entry)
                || self.stored.parked.contains(&entry)
                || self.stored.discarded.contains(&entry)
                || self.stored.dead.contains(&entry);
            if !is_settled && !self.stored.deleted.contains(&entry) {
                self.wrong.insert("lost");
            }
            if self.stored.left_rows.get(&entry).is_some_and(|times| *times > 1) {
                self.wrong.insert("counted twice");
            }
        }
        if self.stored.acked != ENTRIES as usize {
            self.wrong.insert("counted wrongly");
        }
        if self.stored.vanished > self.stored.deleted.len() {
            self.wrong.insert("vanished though nobody deleted it");
        }
        let seen = [
            ("dead", !self.stored.dead.is_empty()),
            ("vanished", self.stored.vanished > 0),
            ("split", self.was_split),
        ];
        (self.wrong, seen.into_iter().filter(|(_, was_seen)| *was_seen).map(|(what, _)| what).collect())
    }
}

/// What goes wrong under a variant, and what was seen at all, each with the first seed that shows it.
fn runs(variant: Variant) -> (BTreeMap<&'static str, u64>, BTreeMap<&'static str, u64>) {
    let (mut wrong, mut seen) = (BTreeMap::new(), BTreeMap::new());
    for seed in 1..=RUNS {
        let (wrong_here, seen_here) = Run::new(seed, variant).judge();
        wrong_here.into_iter().for_each(|what| _ = wrong.entry(what).or_insert(seed));
        seen_here.into_iter().for_each(|what| _ = seen.entry(what).or_insert(seed));
    }
    (wrong, seen)
}

#[test]
fn rows_lose_nothing_count_nothing_twice_and_bury_only_what_kills() {
    let (wrong, seen) = runs(Variant::AsBuilt);
    assert_eq!(wrong, BTreeMap::new());
    assert_eq!(seen.len(), 3, "runs in which little happened show nothing: {seen:?}");
}

#[test]
fn each_rule_that_is_left_out_is_missed() {
    const DEAD: &str = "dead without three workers that died alone with it";
    for (variant, expected) in [
        (Variant::NoBegin, "lost"),
        (Variant::TokenAlone, "a discarded job was executed"),
        (Variant::TokenIgnored, "a call names more than its row has"),
        (Variant::ZombieDecides, "a discarded job was executed"),
        (Variant::RowIsLeft, "counted twice"),
        (Variant::TrimAboveRows, "trimmed unsettled"),
        (Variant::NoSplit, DEAD),
        (Variant::RestIsSuspect, DEAD),
        (Variant::HandBackCounts, DEAD),
        (Variant::SuspectInCompany, DEAD),
        (Variant::UnknownLeaves, "vanished though nobody deleted it"),
    ] {
        let (wrong, _) = runs(variant);
        assert!(wrong.contains_key(expected), "{variant:?}: {wrong:?}");
    }
}
