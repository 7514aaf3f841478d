//! What came of a round: the users' own answers against what is in the store. Pure.
//!
//! Knows nothing of cures: it sees what everybody was told and what is left, as an auditor from outside would.

use std::collections::{BTreeSet, HashMap};
use std::ops::AddAssign;

use serde::Serialize;

use super::scenario::{Request, Round};
use super::trace::{Answer, State, Trace};

/// The damage of a round, counted; rounds add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    pub(super) asked: u64,
    /// Were told yes.
    pub(super) granted: u64,
    pub(super) refused: u64,
    /// Were told nothing better than that others were faster.
    pub(super) gave_up: u64,
    /// How much was given that was not there to give: pieces, or cents. What one request got twice counts, and what
    /// is missing without anybody having been told.
    pub(super) over_issued: i64,
    /// Effects that somebody was told of and that the store does not have: overwritten.
    pub(super) lost_updates: u64,
    /// Effects of one and the same request beyond its first.
    pub(super) doubled: u64,
    /// Were refused although enough was left to the end.
    pub(super) refused_wrongly: u64,
    /// How often a request began again.
    pub(super) retries: u64,
    /// Effects that should not have been, or are not there.
    pub(super) damage: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.asked += other.asked;
        self.granted += other.granted;
        self.refused += other.refused;
        self.gave_up += other.gave_up;
        self.over_issued += other.over_issued;
        self.lost_updates += other.lost_updates;
        self.doubled += other.doubled;
        self.refused_wrongly += other.refused_wrongly;
        self.retries += other.retries;
        self.damage += other.damage;
    }
}

/// A broken invariant, and the two requests that broke it, by their place among those served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) record: usize,
    pub(super) first: usize,
    pub(super) second: usize,
}

#[derive(Debug)]
pub(super) struct Judged {
    pub(super) tally: Tally,
    /// The first broken invariant.
    pub(super) case: Option<Case>,
}

/// Judges what was served (which request, and its trace) against the states of the round's records.
pub(super) fn judge(round: &Round, served: &[(usize, Trace)], states: &[State]) -> Judged {
    let mut tally = Tally { asked: served.len() as u64, ..Tally::default() };
    // Each effect once: answers under one receipt are about the same one.
    let mut effects: Vec<usize> = Vec::new();
    let mut receipts: BTreeSet<(&str, &str)> = BTreeSet::new();
    let request = |place: usize| &round.requests[served[place].0];
    for (place, (_, trace)) in served.iter().enumerate() {
        tally.retries += trace.retries();
        match trace.answer() {
            Some(Answer::Granted { receipt }) => {
                tally.granted += 1;
                let known =
                    receipt.as_ref().is_some_and(|receipt| !receipts.insert((&request(place).id, receipt)));
                if !known {
                    effects.push(place);
                }
            }
            Some(Answer::Refused) => tally.refused += 1,
            Some(Answer::GaveUp) | None => tally.gave_up += 1,
        }
    }
    let mut first_of: HashMap<&str, usize> = HashMap::new();
    let mut again: Vec<(usize, usize)> = Vec::new();
    for &place in &effects {
        let first = *first_of.entry(&request(place).id).or_insert(place);
        if first != place {
            again.push((first, place));
        }
    }
    tally.doubled = again.len() as u64;
    let mut case = again.first().map(|&(first, second)| Case {
        record: request(first).takes.first().map_or(0, |take| take.record),
        first,
        second,
    });

    let amount = |place: usize, record: usize| amount_of(request(place), record);
    let mut left = Vec::with_capacity(states.len());
    let mut records_over = 0;
    for (number, (record, state)) in round.records.iter().zip(states).enumerate() {
        let takers: Vec<usize> = effects.iter().copied().filter(|&place| amount(place, number) > 0).collect();
        let given: i64 = takers.iter().map(|&place| amount(place, number)).sum();
        let twice: i64 = again.iter().map(|&(_, place)| amount(place, number)).sum();
        let unseen = (record.quantity - state.quantity - given).max(0);
        let over = (given - record.quantity).max(twice).max(0) + unseen;
        let lost = (takers.len() as u64).saturating_sub(u64::try_from(state.version).unwrap_or(0));
        tally.over_issued += over;
        tally.lost_updates += lost;
        records_over += u64::from(over > 0);
        left.push(record.quantity - given);
        if case.is_none() && (lost > 0 || over > 0) {
            case = culprits(&takers, |place| base(served, round, place, number))
                .map(|(first, second)| Case { record: number, first, second });
        }
    }
    tally.damage = match tally.lost_updates + tally.doubled {
        0 => records_over,
        damage => damage,
    };
    let wronged = |&(place, (_, trace)): &(usize, &(usize, Trace))| {
        let turned_away = matches!(trace.answer(), Some(Answer::Refused | Answer::GaveUp) | None);
        let served_before = first_of.contains_key(request(place).id.as_str());
        turned_away
            && !served_before
            && request(place).takes.iter().all(|take| left[take.record] >= take.amount)
    };
    tally.refused_wrongly = served.iter().enumerate().filter(wronged).count() as u64;
    Judged { tally, case }
}

fn amount_of(request: &Request, record: usize) -> i64 {
    request.takes.iter().filter(|take| take.record == record).map(|take| take.amount).sum()
}

/// The version of a record that a request read before it wrote.
fn base(served: &[(usize, Trace)], round: &Round, place: usize, record: usize) -> Option<i64> {
    let (request, trace) = &served[place];
    let at = round.requests[*request].takes.iter().position(|take| take.record == record)?;
    trace.base()?.get(at).map(|state| state.version)
}

/// Two that wrote from what was the same to both; else the last two, who at least got what was not there.
fn culprits(takers: &[usize], base: impl Fn(usize) -> Option<i64>) -> Option<(usize, usize)> {
    let mut seen: HashMap<i64, usize> = HashMap::new();
    for &place in takers {
        let Some(version) = base(place) else { continue };
        match seen.insert(version, place) {
            Some(other) => return Some((other, place)),
            None => continue,
        }
    }
    match takers {
        [.., first, second] => Some((*first, *second)),
        [only] => Some((*only, *only)),
        [] => None,
    }
}
