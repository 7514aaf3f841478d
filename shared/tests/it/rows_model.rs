//! A random model of rows in flight: take, settle, park, recover, split, hand back, trim, and what comes in between
//! (deaths, lost replies, calls that are executed late, a group that somebody else moved, entries deleted by hand).
//!
//! It is the argument for the rules of the rows (ARCHITECTURE.md, "Ranges in flight"): each odd-looking one is left out by a variant here, and every
//! variant is caught. Pure and seeded: a failure names its seed.

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

struct Run {
    variant: Variant,
    random: u64,
    stream: BTreeSet<u32>,
    poison: BTreeSet<u32>,
    /// The last entry that was taken, and where the group stands.
    taken: u32,
    group: u32,
    taken_count: usize,
    acked: usize,
    vanished: usize,
    rows: BTreeMap<u32, Row>,
    next: u32,
    workers: Vec<Worker>,
    gone: BTreeSet<u32>,
    late: Vec<Call>,
    deleted: BTreeSet<u32>,
    left_rows: BTreeMap<u32, usize>,
    decided: BTreeSet<u32>,
    parked: BTreeSet<u32>,
    discarded: BTreeSet<u32>,
    dead: BTreeSet<u32>,
    died_alone: BTreeMap<u32, u32>,
    was_split: bool,
    wrong: BTreeSet<&'static str>,
}

impl Run {
    fn new(seed: u64, variant: Variant) -> Self {
        let mut run = Self {
            variant,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            stream: (1..=ENTRIES).collect(),
            poison: BTreeSet::new(),
            taken: 0,
            group: 0,
            taken_count: 0,
            acked: 0,
            vanished: 0,
            rows: BTreeMap::new(),
            next: 100,
            workers: (0..3).map(|name| Worker { name, hand: Vec::new() }).collect(),
            gone: BTreeSet::new(),
            late: Vec::new(),
            deleted: BTreeSet::new(),
            left_rows: BTreeMap::new(),
            decided: BTreeSet::new(),
            parked: BTreeSet::new(),
            discarded: BTreeSet::new(),
            dead: BTreeSet::new(),
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

    // take

    fn take(&mut self, w: usize, count: usize, is_answered: bool) {
        if !self.is(Variant::NoBegin) {
            self.group = self.taken;
        } else if self.group < self.taken {
            self.group = self.taken;
            return;
        }
        let reply: BTreeSet<u32> = self.stream.range(self.group + 1..).copied().take(count).collect();
        let Some(last) = reply.last().copied() else { return self.nothing_waits() };
        let (key, token) = (self.taken, self.fresh());
        self.group = last;
        let truth: BTreeSet<u32> = self.between(key, last);
        // Redis's own count passes over what was deleted, or counts it as read.
        let skipped = (key + 1..=last).filter(|entry| self.deleted.contains(entry)).count();
        let counted = truth.len() + if self.chance(50) { skipped } else { 0 };
        let entries = Entries::Range { last, count: counted };
        self.rows.insert(key, Row { token, worker: self.workers[w].name, deliveries: 1, entries, truth });
        (self.taken, self.taken_count) = (last, self.taken_count + counted);
        if is_answered {
            self.workers[w].hand.push(Batch { key, token, left: reply, alone: false, executing: false });
        }
    }

    /// What was deleted while it waited is never read: it is counted once nothing is behind the last one taken.
    fn nothing_waits(&mut self) {
        let over = ENTRIES as usize - self.taken_count;
        (self.taken, self.taken_count) = (ENTRIES, ENTRIES as usize);
        self.acked += over;
        self.vanished += over;
    }

    /// Behind the one, up to the other.
    fn between(&self, key: u32, last: u32) -> BTreeSet<u32> {
        self.stream.iter().copied().filter(|entry| *entry > key && *entry <= last).collect()
    }

    // settle and park

    fn owns(&self, row: &Row, token: u32, entry: u32) -> bool {
        if row.token != token && !self.is(Variant::TokenIgnored) {
            return false;
        }
        match &row.entries {
            Entries::Range { .. } => true,
            Entries::Ids(ids) => ids.contains(&entry) || self.is(Variant::TokenAlone),
        }
    }

    fn settle(&mut self, call: &Call) {
        for entry in
            call.jobs.iter().copied().filter(|entry| !self.decided.contains(entry)).collect::<Vec<_>>()
        {
            let owned = self.rows.get(&call.key).is_some_and(|row| self.owns(row, call.token, entry));
            if !owned && !self.is(Variant::ZombieDecides) {
                continue;
            }
            if self.discarded.contains(&entry) {
                self.wrong.insert("a discarded job was executed");
            }
            self.decided.insert(entry);
            self.parked.remove(&entry);
        }
        self.shrink(call);
    }

    fn park(&mut self, call: &Call) {
        for entry in &call.jobs {
            let owned = self.rows.get(&call.key).is_some_and(|row| self.owns(row, call.token, *entry));
            if owned && !self.decided.contains(entry) && !self.discarded.contains(entry) {
                self.parked.insert(*entry);
            }
        }
        self.shrink(call);
    }

    /// The row becomes what of it the caller leaves; what leaves it is counted.
    fn shrink(&mut self, call: &Call) {
        let Some(row) = self.rows.get(&call.key) else { return };
        if row.token != call.token && !self.is(Variant::TokenIgnored) {
            return;
        }
        let named: BTreeSet<u32> = call.jobs.union(&call.left).copied().collect();
        let (old, new, vanished) = match &row.entries {
            Entries::Range { last, count } => {
                let new: BTreeSet<u32> = call
                    .left
                    .iter()
                    .copied()
                    .filter(|entry| (call.key + 1..=*last).contains(entry))
                    .collect();
                if named.len() > *count {
                    self.wrong.insert("a call names more than its row has");
                    return;
                }
                (*count, new, count - named.len())
            }
            Entries::Ids(ids) => {
                let new = if self.is(Variant::RowIsLeft) { call.left.clone() } else { ids & &call.left };
                (ids.len(), new, (ids - &named).len())
            }
        };
        self.acked = (self.acked + old).saturating_sub(new.len());
        self.vanished += vanished;
        let mut row = self.rows.remove(&call.key).unwrap();
        for entry in row.truth.difference(&new) {
            *self.left_rows.entry(*entry).or_default() += 1;
        }
        if !new.is_empty() {
            (row.truth, row.entries) = (new.clone(), Entries::Ids(new));
            self.rows.insert(call.key, row);
        }
    }

    // the life of a worker

    fn is_busy(&self, w: usize) -> bool {
        self.workers[w].hand.iter().any(|batch| batch.executing)
    }

    /// The entry that a worker is alone with.
    fn alone_with(&self, w: usize) -> Option<u32> {
        let mut executing = self.workers[w].hand.iter().filter(|batch| batch.executing);
        let batch = executing.next()?;
        (batch.alone && executing.next().is_none()).then(|| batch.left.first().copied())?
    }

    /// Dies, or is stopped for so long that it is the same to the others; then its calls come late.
    fn die(&mut self, w: usize, is_stopped: bool) {
        if let Some(entry) = self.alone_with(w) {
            *self.died_alone.entry(entry).or_default() += 1;
        }
        let name = self.fresh();
        let dead = std::mem::replace(&mut self.workers[w], Worker { name, hand: Vec::new() });
        self.gone.insert(dead.name);
        if is_stopped {
            self.late.extend(dead.hand.into_iter().map(|batch| {
                let jobs = batch.left.clone();
                Call { key: batch.key, token: batch.token, left: &batch.left - &jobs, jobs }
            }));
        }
    }

    fn hand_back(&mut self, w: usize) {
        let name = self.fresh();
        let gone = std::mem::replace(&mut self.workers[w], Worker { name, hand: Vec::new() }).name;
        self.gone.insert(gone);
        let counts = self.is(Variant::HandBackCounts);
        for row in self.rows.values_mut().filter(|row| row.worker == gone && !counts) {
            row.deliveries = row.deliveries.saturating_sub(1);
        }
    }

    /// Begins to work on one batch; poison kills at once.
    fn execute(&mut self, w: usize) {
        let waiting: Vec<usize> =
            (0..self.workers[w].hand.len()).filter(|n| !self.workers[w].hand[*n].executing).collect();
        if waiting.is_empty() || self.alone_with(w).is_some() {
            return;
        }
        let n = waiting[self.below(waiting.len())];
        if self.workers[w].hand[n].alone && self.is_busy(w) {
            return;
        }
        self.workers[w].hand[n].executing = true;
        let next = self.workers[w].hand[n].left.clone();
        if next.iter().any(|entry| self.poison.contains(entry) && !self.decided.contains(entry)) {
            self.die(w, false);
        }
    }

    /// Settles or parks what a worker works on; `how` the call goes is chance.
    fn answer(&mut self, w: usize) {
        let executing: Vec<usize> =
            (0..self.workers[w].hand.len()).filter(|n| self.workers[w].hand[*n].executing).collect();
        if executing.is_empty() {
            return;
        }
        let n = executing[self.below(executing.len())];
        let batch = self.workers[w].hand[n].clone();
        let jobs = if batch.alone { batch.left.clone() } else { self.some(&batch.left, 70) };
        let call = Call { key: batch.key, token: batch.token, left: &batch.left - &jobs, jobs };
        let is_parked = self.chance(20);
        match self.below(10) {
            0..6 if is_parked => self.park(&call),
            0..6 => self.settle(&call),
            // The reply is lost: it will be sent again.
            6..8 => return self.settle(&call),
            _ => return self.late.push(call),
        }
        let batch = &mut self.workers[w].hand[n];
        (batch.left, batch.executing) = (call.left, false);
        if batch.left.is_empty() {
            self.workers[w].hand.remove(n);
        }
    }

    fn recover(&mut self, w: usize) {
        let keys: Vec<u32> = self.rows.keys().copied().collect();
        if keys.is_empty() {
            return;
        }
        let key = keys[self.below(keys.len())];
        let row = self.rows[&key].clone();
        let name = self.workers[w].name;
        let is_own = row.worker == name;
        if is_own && self.workers[w].hand.iter().any(|batch| batch.key == key && batch.token == row.token) {
            return;
        }
        if !is_own && !self.gone.contains(&row.worker) {
            return;
        }
        let deliveries = row.deliveries + u32::from(!is_own);
        let alone = deliveries > 2;
        if alone && self.is_busy(w) && !self.is(Variant::SuspectInCompany) {
            return;
        }
        if is_own {
            return self.read(w, key, alone);
        }
        if row.deliveries >= 5 {
            // Alone with three that died.
            let call = Call { key, token: row.token, jobs: row.truth.clone(), left: BTreeSet::new() };
            for entry in
                row.truth.iter().filter(|entry| !self.decided.contains(entry) && self.stream.contains(entry))
            {
                if self.died_alone.get(entry).copied().unwrap_or_default() < 3 {
                    self.wrong.insert("dead without three workers that died alone with it");
                }
                self.dead.insert(*entry);
            }
            return self.shrink(&call);
        }
        let token = self.fresh();
        if row.deliveries >= 2 && !self.is(Variant::NoSplit) {
            self.split(key);
        }
        let Some(row) = self.rows.get_mut(&key) else { return };
        (row.token, row.worker, row.deliveries) = (token, name, deliveries);
        self.read(w, key, alone);
    }

    /// The first entry of a row that has killed two workers becomes a row of its own; the rest, as it was, may be taken
    /// over by whoever comes.
    fn split(&mut self, key: u32) {
        let row = self.rows[&key].clone();
        let first = match &row.entries {
            Entries::Range { last, .. } => self.between(key, *last).first().copied(),
            Entries::Ids(ids) => ids.first().copied(),
        };
        let Some(first) = first else {
            let call = Call { key, token: row.token, jobs: BTreeSet::new(), left: BTreeSet::new() };
            return self.shrink(&call);
        };
        let (alone, rest) = match row.entries {
            // Behind the last there is nothing: what the row counts beside it was deleted, and the next row's key is this.
            Entries::Range { last, count } if count == 1 || last == first => return,
            Entries::Range { last, count } => {
                (Entries::Range { last: first, count: 1 }, Entries::Range { last, count: count - 1 })
            }
            Entries::Ids(ids) if ids.len() == 1 => return,
            Entries::Ids(mut ids) => {
                ids.remove(&first);
                (Entries::Ids([first].into()), Entries::Ids(ids))
            }
        };
        let (mut truth, mut own) = (row.truth, BTreeSet::new());
        // What was deleted by hand since leaves with the rest.
        if truth.remove(&first) {
            own.insert(first);
        }
        self.was_split = true;
        let token = self.fresh();
        let deliveries = row.deliveries + u32::from(self.is(Variant::RestIsSuspect));
        self.rows.insert(key, Row { entries: alone, truth: own, ..row });
        self.rows.insert(first, Row { token, worker: row.worker, deliveries, entries: rest, truth });
    }

    fn read(&mut self, w: usize, key: u32, alone: bool) {
        let row = &self.rows[&key];
        let left: BTreeSet<u32> = match &row.entries {
            Entries::Range { last, .. } => self.between(key, *last),
            Entries::Ids(ids) => ids & &self.stream,
        };
        let batch = Batch { key, token: row.token, left, alone, executing: false };
        if batch.left.is_empty() {
            let call = Call { key, token: batch.token, jobs: BTreeSet::new(), left: BTreeSet::new() };
            return self.shrink(&call);
        }
        self.workers[w].hand.push(batch);
        if alone {
            // It has waited for the others before it took the row over.
            self.workers[w].hand.last_mut().unwrap().executing = true;
            let first = self.workers[w].hand.last().unwrap().left.clone();
            if first.iter().any(|entry| self.poison.contains(entry) && !self.decided.contains(entry)) {
                self.die(w, false);
            }
        }
    }

    fn trim(&mut self) {
        let bound = self.rows.keys().next().copied().unwrap_or(self.taken);
        let bound = if self.is(Variant::TrimAboveRows) { self.taken } else { bound };
        for entry in self.stream.range(..bound).copied().collect::<Vec<_>>() {
            if !self.left_rows.contains_key(&entry) {
                self.wrong.insert("trimmed unsettled");
            }
            self.stream.remove(&entry);
        }
    }

    fn step(&mut self) {
        let w = self.below(3);
        match self.below(100) {
            0..18 => {
                let (count, is_answered) = (1 + self.below(6), self.chance(80));
                self.take(w, count, is_answered);
            }
            18..38 => self.execute(w),
            38..62 => self.answer(w),
            62..74 => self.recover(w),
            74..77 => self.die(w, false),
            77..79 => self.die(w, true),
            79..81 => self.hand_back(w),
            81..87 if !self.late.is_empty() => {
                let n = self.below(self.late.len());
                let call = self.late.remove(n);
                self.settle(&call);
            }
            87..91 => self.trim(),
            // A script that was not there, or somebody who reads the group by hand.
            91..93 => self.group = self.stream.range(self.group + 1..).nth(1).copied().unwrap_or(self.group),
            93..95 => self.group = [0, self.group, self.taken][self.below(3)],
            95..96 if self.chance(10) => {
                let entry = 1 + self.below(ENTRIES as usize) as u32;
                if self.stream.remove(&entry) {
                    self.deleted.insert(entry);
                }
            }
            96.. => {
                if let Some(entry) = self.parked.iter().next().copied() {
                    self.parked.remove(&entry);
                    self.discarded.insert(entry);
                }
            }
            _ => {}
        }
    }

    /// Healthy workers, one after the other, until nothing is left.
    fn drain(&mut self) {
        for w in 0..3 {
            self.die(w, false);
        }
        self.late.clear();
        for _ in 0..4_000 {
            if self.rows.is_empty() && self.taken_count == ENTRIES as usize {
                return;
            }
            self.take(0, 6, true);
            self.recover(0);
            self.execute(0);
            while let Some(n) = self.workers[0].hand.iter().position(|batch| batch.executing) {
                let batch = self.workers[0].hand[n].clone();
                let jobs = batch.left.clone();
                let call = Call { key: batch.key, token: batch.token, left: &batch.left - &jobs, jobs };
                self.settle(&call);
                let batch = &mut self.workers[0].hand[n];
                (batch.left, batch.executing) = (call.left, false);
                if batch.left.is_empty() {
                    self.workers[0].hand.remove(n);
                }
            }
        }
        self.wrong.insert("does not end");
    }

    fn judge(mut self) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
        for _ in 0..STEPS {
            self.step();
            let in_flight: usize = self
                .rows
                .values()
                .map(|row| match &row.entries {
                    Entries::Range { count, .. } => *count,
                    Entries::Ids(ids) => ids.len(),
                })
                .sum();
            if self.acked + in_flight != self.taken_count {
                self.wrong.insert("not conserved");
            }
        }
        self.drain();
        for entry in 1..=ENTRIES {
            let is_settled = self.decided.contains(&entry)
                || self.parked.contains(&entry)
                || self.discarded.contains(&entry)
                || self.dead.contains(&entry);
            if !is_settled && !self.deleted.contains(&entry) {
                self.wrong.insert("lost");
            }
            if self.left_rows.get(&entry).is_some_and(|times| *times > 1) {
                self.wrong.insert("counted twice");
            }
        }
        if self.acked != ENTRIES as usize {
            self.wrong.insert("counted wrongly");
        }
        if self.vanished > self.deleted.len() {
            self.wrong.insert("vanished though nobody deleted it");
        }
        let seen =
            [("dead", !self.dead.is_empty()), ("vanished", self.vanished > 0), ("split", self.was_split)];
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
    ] {
        let (wrong, _) = runs(variant);
        assert!(wrong.contains_key(expected), "{variant:?}: {wrong:?}");
    }
}
