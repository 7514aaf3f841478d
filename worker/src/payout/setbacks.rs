//! Payouts that nobody can go on with, because a key of theirs is damaged: each is looked at again after a pause that
//! grows, and all of them are one incident, said once. `payout ls` lists each by its name.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::incidents::{Incident, Incidents, Kind, Reporter};
use tokio::time::Instant;
use tollgate::backoff::Backoff;
use tollgate::partition::Partition;

const PAUSE_MIN: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// One that was to be looked at this long ago and was not is not listed any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

/// The partition, and the payout's member of `payouts`.
type Name = (u16, String);

pub(crate) struct Setbacks {
    reporter: Reporter,
    payouts: Mutex<HashMap<Name, Setback>>,
}

struct Setback {
    backoff: Backoff,
    next_at: Instant,
    what: String,
}

impl Setbacks {
    pub(crate) fn new(incidents: &Incidents) -> Self {
        Self { reporter: incidents.reporter(), payouts: Mutex::default() }
    }

    /// Leaves out what is left alone for now, and forgets what is not listed any more.
    pub(crate) fn filter<T>(
        &self,
        incidents: &Incidents,
        partition: Partition,
        members: &mut Vec<T>,
        name: impl Fn(&T) -> String,
    ) {
        let mut payouts = self.payouts();
        // Mostly there is none.
        if payouts.is_empty() {
            return;
        }
        let now = Instant::now();
        let before = payouts.len();
        payouts.retain(|_, setback| now.saturating_duration_since(setback.next_at) < FORGOTTEN_AFTER);
        if payouts.len() < before {
            self.report(incidents, &payouts);
        }
        let rests =
            |member: &T| payouts.get(&(partition.number(), name(member))).map(|setback| setback.next_at);
        members.retain(|member| rests(member).is_none_or(|next_at| now >= next_at));
    }

    /// A payout cannot go on, for this reason.
    pub(crate) fn note(&self, incidents: &Incidents, partition: Partition, member: &str, what: &str) {
        let mut payouts = self.payouts();
        let now = Instant::now();
        let setback = payouts.entry((partition.number(), member.to_owned())).or_insert_with(|| Setback {
            backoff: Backoff::new(PAUSE_MIN, PAUSE_MAX),
            next_at: now,
            what: String::new(),
        });
        setback.next_at = now + setback.backoff.next_pause();
        what.clone_into(&mut setback.what);
        self.report(incidents, &payouts);
    }

    /// A payout goes on.
    pub(crate) fn clear(&self, incidents: &Incidents, partition: Partition, member: &str) {
        let mut payouts = self.payouts();
        if !payouts.is_empty() && payouts.remove(&(partition.number(), member.to_owned())).is_some() {
            self.report(incidents, &payouts);
        }
    }

    fn report(&self, incidents: &Incidents, payouts: &HashMap<Name, Setback>) {
        let Some(((partition, member), first)) = payouts.iter().min_by_key(|(name, _)| *name) else {
            return incidents.resolve(self.reporter);
        };
        let name = match member.split_once('\t') {
            Some((account, id)) => format!("payout {id} of account {account}"),
            None => format!("{member:?}"),
        };
        let others = match payouts.len() - 1 {
            0 => String::new(),
            1 => "; so does another one".to_owned(),
            more => format!("; so do {more} others"),
        };
        let reason = format!("{name} (partition {partition}) waits for a repair: {}{others}", first.what);
        incidents.open(self.reporter, Incident::new(Kind::PayoutDamaged, "", reason).degraded());
    }

    fn payouts(&self) -> MutexGuard<'_, HashMap<Name, Setback>> {
        self.payouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
