//! The life of workers: what each does, hears and does not hear, in which order, and how they end.

use super::{Call, ENTRIES, Run, Variant, Worker};

impl Run {
    pub(super) fn is_busy(&self, w: usize) -> bool {
        self.workers[w].hand.iter().any(|batch| batch.executing)
    }

    /// The entry that a worker is alone with.
    pub(super) fn alone_with(&self, w: usize) -> Option<u32> {
        let mut executing = self.workers[w].hand.iter().filter(|batch| batch.executing);
        let batch = executing.next()?;
        (batch.alone && executing.next().is_none()).then(|| batch.left.first().copied())?
    }

    /// Dies, or is stopped for so long that it is the same to the others; then its calls come late.
    pub(super) fn die(&mut self, w: usize, is_stopped: bool) {
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

    pub(super) fn hand_back(&mut self, w: usize) {
        let name = self.fresh();
        let gone = std::mem::replace(&mut self.workers[w], Worker { name, hand: Vec::new() }).name;
        self.gone.insert(gone);
        let counts = self.is(Variant::HandBackCounts);
        for row in self.stored.rows.values_mut().filter(|row| row.worker == gone && !counts) {
            row.deliveries = row.deliveries.saturating_sub(1);
        }
    }

    /// Begins to work on one batch; poison kills at once.
    pub(super) fn execute(&mut self, w: usize) {
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
        if next.iter().any(|entry| self.poison.contains(entry) && !self.stored.decided.contains(entry)) {
            self.die(w, false);
        }
    }

    /// Settles or parks what a worker works on; `how` the call goes is chance.
    pub(super) fn answer(&mut self, w: usize) {
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

    pub(super) fn step(&mut self) {
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
            91..93 => {
                self.stored.group = self
                    .stored
                    .stream
                    .range(self.stored.group + 1..)
                    .nth(1)
                    .copied()
                    .unwrap_or(self.stored.group)
            }
            93..95 => self.stored.group = [0, self.stored.group, self.stored.taken][self.below(3)],
            95..96 if self.chance(10) => {
                let entry = 1 + self.below(ENTRIES as usize) as u32;
                if self.stored.stream.remove(&entry) {
                    self.stored.deleted.insert(entry);
                }
            }
            95..96 if self.chance(30) => {
                // Whatever is on disk is a moment that was; what the workers remember is the present.
                if self.chance(60) {
                    self.on_disk = self.stored.clone();
                } else {
                    self.stored = self.on_disk.clone();
                }
            }
            96.. => {
                if let Some(entry) = self.stored.parked.iter().next().copied() {
                    self.stored.parked.remove(&entry);
                    self.stored.discarded.insert(entry);
                }
            }
            _ => {}
        }
    }

    /// Healthy workers, one after the other, until nothing is left.
    pub(super) fn drain(&mut self) {
        for w in 0..3 {
            self.die(w, false);
        }
        self.late.clear();
        for _ in 0..4_000 {
            if self.stored.rows.is_empty() && self.stored.taken_count == ENTRIES as usize {
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
}
