//! What the scripts do to the rows: take, settle, park.

use std::collections::BTreeSet;

use super::{Batch, Call, ENTRIES, Entries, Row, Run, Variant};

impl Run {
    pub(super) fn take(&mut self, w: usize, count: usize, is_answered: bool) {
        if !self.is(Variant::NoBegin) {
            self.stored.group = self.stored.taken;
        } else if self.stored.group < self.stored.taken {
            self.stored.group = self.stored.taken;
            return;
        }
        let reply: BTreeSet<u32> =
            self.stored.stream.range(self.stored.group + 1..).copied().take(count).collect();
        let Some(last) = reply.last().copied() else { return self.nothing_waits() };
        let (key, token) = (self.stored.taken, self.fresh());
        self.stored.group = last;
        let truth: BTreeSet<u32> = self.between(key, last);
        // Redis's own count passes over what was deleted, or counts it as read.
        let skipped = (key + 1..=last).filter(|entry| self.stored.deleted.contains(entry)).count();
        let counted = truth.len() + if self.chance(50) { skipped } else { 0 };
        let entries = Entries::Range { last, count: counted };
        self.stored
            .rows
            .insert(key, Row { token, worker: self.workers[w].name, deliveries: 1, entries, truth });
        (self.stored.taken, self.stored.taken_count) = (last, self.stored.taken_count + counted);
        if is_answered {
            self.workers[w].hand.push(Batch { key, token, left: reply, alone: false, executing: false });
        }
    }

    /// What was deleted while it waited is never read: it is counted once nothing is behind the last one taken.
    pub(super) fn nothing_waits(&mut self) {
        let over = ENTRIES as usize - self.stored.taken_count;
        (self.stored.taken, self.stored.taken_count) = (ENTRIES, ENTRIES as usize);
        self.stored.acked += over;
        self.stored.vanished += over;
    }

    /// Behind the one, up to the other.
    pub(super) fn between(&self, key: u32, last: u32) -> BTreeSet<u32> {
        self.stored.stream.iter().copied().filter(|entry| *entry > key && *entry <= last).collect()
    }

    // settle and park

    pub(super) fn owns(&self, row: &Row, token: u32, entry: u32) -> bool {
        if row.token != token && !self.is(Variant::TokenIgnored) {
            return false;
        }
        match &row.entries {
            Entries::Range { .. } => true,
            Entries::Ids(ids) => ids.contains(&entry) || self.is(Variant::TokenAlone),
        }
    }

    pub(super) fn settle(&mut self, call: &Call) {
        for entry in
            call.jobs.iter().copied().filter(|entry| !self.stored.decided.contains(entry)).collect::<Vec<_>>()
        {
            let owned = self.stored.rows.get(&call.key).is_some_and(|row| self.owns(row, call.token, entry));
            if !owned && !self.is(Variant::ZombieDecides) {
                continue;
            }
            if self.stored.discarded.contains(&entry) {
                self.wrong.insert("a discarded job was executed");
            }
            self.stored.decided.insert(entry);
            self.stored.parked.remove(&entry);
        }
        self.shrink(call);
    }

    pub(super) fn park(&mut self, call: &Call) {
        for entry in &call.jobs {
            let owned = self.stored.rows.get(&call.key).is_some_and(|row| self.owns(row, call.token, *entry));
            if owned && !self.stored.decided.contains(entry) && !self.stored.discarded.contains(entry) {
                self.stored.parked.insert(*entry);
            }
        }
        self.shrink(call);
    }

    /// The row becomes what of it the caller leaves; what leaves it is counted.
    pub(super) fn shrink(&mut self, call: &Call) {
        let Some(row) = self.stored.rows.get(&call.key) else { return };
        if row.token != call.token && !self.is(Variant::TokenIgnored) {
            return;
        }
        let mut named: BTreeSet<u32> = call.jobs.union(&call.left).copied().collect();
        let unknown: BTreeSet<u32> = match &row.entries {
            _ if self.is(Variant::UnknownLeaves) => BTreeSet::new(),
            Entries::Range { last, .. } => &self.between(call.key, *last) - &named,
            Entries::Ids(ids) => &(ids & &self.stored.stream) - &named,
        };
        let left = &call.left | &unknown;
        named.extend(&unknown);
        let (old, new, vanished) = match &row.entries {
            Entries::Range { last, count } => {
                let new: BTreeSet<u32> =
                    left.iter().copied().filter(|entry| (call.key + 1..=*last).contains(entry)).collect();
                if named.len() > *count {
                    self.wrong.insert("a call names more than its row has");
                    return;
                }
                (*count, new, count - named.len())
            }
            Entries::Ids(ids) => {
                let new = if self.is(Variant::RowIsLeft) { left } else { ids & &left };
                (ids.len(), new, (ids - &named).len())
            }
        };
        self.stored.acked = (self.stored.acked + old).saturating_sub(new.len());
        self.stored.vanished += vanished;
        let mut row = self.stored.rows.remove(&call.key).unwrap();
        for entry in row.truth.difference(&new) {
            *self.stored.left_rows.entry(*entry).or_default() += 1;
        }
        if !new.is_empty() {
            (row.truth, row.entries) = (new.clone(), Entries::Ids(new));
            self.stored.rows.insert(call.key, row);
        }
    }
}
