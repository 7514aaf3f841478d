//! What becomes of rows whose worker is gone, or suspected: recover, split, read again; and the trim.

use std::collections::BTreeSet;

use super::{Batch, Call, Entries, Row, Run, Variant};

impl Run {
    pub(super) fn recover(&mut self, w: usize) {
        let keys: Vec<u32> = self.stored.rows.keys().copied().collect();
        if keys.is_empty() {
            return;
        }
        let key = keys[self.below(keys.len())];
        let row = self.stored.rows[&key].clone();
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
            for entry in row
                .truth
                .iter()
                .filter(|entry| !self.stored.decided.contains(entry) && self.stored.stream.contains(entry))
            {
                if self.died_alone.get(entry).copied().unwrap_or_default() < 3 {
                    self.wrong.insert("dead without three workers that died alone with it");
                }
                self.stored.dead.insert(*entry);
            }
            return self.shrink(&call);
        }
        let token = self.fresh();
        if row.deliveries >= 2 && !self.is(Variant::NoSplit) {
            self.split(key);
        }
        let Some(row) = self.stored.rows.get_mut(&key) else { return };
        (row.token, row.worker, row.deliveries) = (token, name, deliveries);
        self.read(w, key, alone);
    }

    /// The first entry of a row that has killed two workers becomes a row of its own; the rest, as it was, may be taken
    /// over by whoever comes.
    pub(super) fn split(&mut self, key: u32) {
        let row = self.stored.rows[&key].clone();
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
        self.stored.rows.insert(key, Row { entries: alone, truth: own, ..row });
        self.stored.rows.insert(first, Row { token, worker: row.worker, deliveries, entries: rest, truth });
    }

    pub(super) fn read(&mut self, w: usize, key: u32, alone: bool) {
        let row = &self.stored.rows[&key];
        let left: BTreeSet<u32> = match &row.entries {
            Entries::Range { last, .. } => self.between(key, *last),
            Entries::Ids(ids) => ids & &self.stored.stream,
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
            if first.iter().any(|entry| self.poison.contains(entry) && !self.stored.decided.contains(entry)) {
                self.die(w, false);
            }
        }
    }

    pub(super) fn trim(&mut self) {
        let bound = self.stored.rows.keys().next().copied().unwrap_or(self.stored.taken);
        let bound = if self.is(Variant::TrimAboveRows) { self.stored.taken } else { bound };
        for entry in self.stored.stream.range(..bound).copied().collect::<Vec<_>>() {
            if !self.stored.left_rows.contains_key(&entry) {
                self.wrong.insert("trimmed unsettled");
            }
            self.stored.stream.remove(&entry);
        }
    }
}
