//! What came of a round: the users' own answers against what is in the store. Pure.
//!
//! Knows nothing of cures: it sees what everybody was told and what is left, as an auditor from outside would.

use std::collections::{BTreeSet, HashMap};
use std::ops::AddAssign;

use serde::Serialize;

use super::scenario::{Request, Round};
use super::trace::{Reply, State, Trace};

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
    /// Were refused what the same request was granted.
    pub(super) contradicted: u64,
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
        self.contradicted += other.contradicted;
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

/// What was served (which request, and its trace), and what it came to.
struct Served<'a> {
    round: &'a Round,
    served: &'a [(usize, Trace)],
    /// Whose effect the store should have, by their place among those served. Each effect once: answers under one
    /// receipt are about the same one.
    effects: Vec<usize>,
    /// The first effect of each request's id.
    first_of: HashMap<&'a str, usize>,
    /// Effects of the same request beyond its first, each after the first.
    again: Vec<(usize, usize)>,
    /// Refusals of what the same request was granted, each after the grant.
    contradicted: Vec<(usize, usize)>,
}

impl<'a> Served<'a> {
    fn of(round: &'a Round, served: &'a [(usize, Trace)]) -> Self {
        let (effects, again) = Default::default();
        let mut all =
            Self { round, served, effects, first_of: HashMap::new(), again, contradicted: Vec::new() };
        let mut receipts: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (place, (_, trace)) in served.iter().enumerate() {
            if let Some(Reply::Granted { receipt }) = trace.answer() {
                let id = all.request(place).id.as_str();
                if receipt.as_ref().is_none_or(|receipt| receipts.insert((id, receipt))) {
                    all.effects.push(place);
                    let first = *all.first_of.entry(id).or_insert(place);
                    if first != place {
                        all.again.push((first, place));
                    }
                }
            }
        }
        let refused = |place: &usize| matches!(served[*place].1.answer(), Some(Reply::Refused));
        let granted = |place| all.first_of.get(all.request(place).id.as_str()).map(|&first| (first, place));
        all.contradicted = (0..served.len()).filter(refused).filter_map(granted).collect();
        all
    }

    fn request(&self, place: usize) -> &'a Request {
        &self.round.requests[self.served[place].0]
    }

    /// What everybody was told, counted.
    fn tally(&self) -> Tally {
        let mut tally = Tally {
            asked: self.served.len() as u64,
            doubled: self.again.len() as u64,
            contradicted: self.contradicted.len() as u64,
            ..Tally::default()
        };
        for (_, trace) in self.served {
            tally.retries += trace.retries();
            match trace.answer() {
                Some(Reply::Granted { .. }) => tally.granted += 1,
                Some(Reply::Refused) => tally.refused += 1,
                Some(Reply::GaveUp) | None => tally.gave_up += 1,
            }
        }
        tally
    }

    /// The first that was told or given what another had been before.
    fn repeated(&self) -> Option<Case> {
        let &(first, second) = self.again.iter().chain(&self.contradicted).next()?;
        let record = self.request(first).takes.first().map_or(0, |take| take.record);
        Some(Case { record, first, second })
    }

    /// Of one record.
    fn on(&self, record: usize, state: &State) -> OnRecord {
        let quantity = self.round.records[record].quantity;
        let amount = |place: usize| amount_of(self.request(place), record);
        let takers: Vec<usize> = self.effects.iter().copied().filter(|&place| amount(place) > 0).collect();
        let given: i64 = takers.iter().map(|&place| amount(place)).sum();
        let twice: i64 = self.again.iter().map(|&(_, place)| amount(place)).sum();
        let unseen = (quantity - state.quantity - given).max(0);
        OnRecord {
            over: (given - quantity).max(twice).max(0) + unseen,
            lost: (takers.len() as u64).saturating_sub(u64::try_from(state.version).unwrap_or(0)),
            left: quantity - given,
            takers,
        }
    }

    /// Who was turned away although enough of each record is left, and nobody was served under the same id.
    fn refused_wrongly(&self, left: &[i64]) -> u64 {
        let wronged = |place: &usize| {
            let turned_away =
                matches!(self.served[*place].1.answer(), Some(Reply::Refused | Reply::GaveUp) | None);
            let request = self.request(*place);
            let enough_is_left = || request.takes.iter().all(|take| left[take.record] >= take.amount);
            turned_away && !self.first_of.contains_key(request.id.as_str()) && enough_is_left()
        };
        (0..self.served.len()).filter(wronged).count() as u64
    }
}

/// What was given of a record, against what is left of it.
struct OnRecord {
    /// Given, or gone, beyond what was there.
    over: i64,
    /// Effects that its state does not have.
    lost: u64,
    left: i64,
    takers: Vec<usize>,
}

/// Judges what was served (which request, and its trace) against the states of the round's records.
pub(super) fn judge(round: &Round, served: &[(usize, Trace)], states: &[State]) -> Judged {
    let all = Served::of(round, served);
    let (mut tally, mut case) = (all.tally(), all.repeated());
    let mut left = Vec::with_capacity(states.len());
    let mut records_over = 0;
    for (record, state) in states.iter().enumerate().take(round.records.len()) {
        let on = all.on(record, state);
        tally.over_issued += on.over;
        tally.lost_updates += on.lost;
        records_over += u64::from(on.over > 0);
        left.push(on.left);
        if case.is_none() && (on.lost > 0 || on.over > 0) {
            case = offenders(&on.takers, |place| base(served, round, place, record))
                .map(|(first, second)| Case { record, first, second });
        }
    }
    tally.damage = match tally.lost_updates + tally.doubled + tally.contradicted {
        0 => records_over,
        damage => damage,
    };
    tally.refused_wrongly = all.refused_wrongly(&left);
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
fn offenders(takers: &[usize], base: impl Fn(usize) -> Option<i64>) -> Option<(usize, usize)> {
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

#[cfg(test)]
mod tests {
    use super::super::scenario::Scenario;
    use super::super::trace::Step;
    use super::*;

    /// Two users want the one ticket; or their $80 and $50 of an account, or one payment twice.
    fn paused_holder(scenario: Scenario) -> Round {
        (scenario.story().paused_holder)("test")
    }

    fn state(quantity: i64, version: i64) -> State {
        State { quantity, version }
    }

    fn trace(steps: impl IntoIterator<Item = Step>) -> Trace {
        let mut trace = Trace::default();
        steps.into_iter().zip(1..).for_each(|(step, at_ns)| trace.note_at(at_ns, step));
        trace
    }

    /// Read this state, took `amount` of it, and was granted it.
    fn granted(seen: State, amount: i64) -> Trace {
        let next = state(seen.quantity - amount, seen.version + 1);
        let answer = Step::Answered(Reply::Granted { receipt: None });
        trace([Step::Read { seen: vec![seen] }, Step::Wrote { next: vec![next] }, answer])
    }

    fn receipt(receipt: &str) -> Trace {
        trace([Step::Answered(Reply::Granted { receipt: Some(receipt.to_owned()) })])
    }

    fn refused() -> Trace {
        trace([Step::Answered(Reply::Refused)])
    }

    fn judged(scenario: Scenario, traces: [Trace; 2], left: State) -> Judged {
        let traces: Vec<(usize, Trace)> = traces.into_iter().enumerate().collect();
        judge(&paused_holder(scenario), &traces, &[left])
    }

    #[test]
    fn one_after_the_other_is_no_damage() {
        let Judged { tally, case } =
            judged(Scenario::Ticket, [granted(state(1, 0), 1), refused()], state(0, 1));
        assert_eq!(tally, Tally { asked: 2, granted: 1, refused: 1, ..Tally::default() });
        assert_eq!(case, None);
    }

    #[test]
    fn two_that_wrote_from_the_same_version_lost_an_update_and_issued_too_much() {
        let both = [granted(state(10_000, 0), 8_000), granted(state(10_000, 0), 5_000)];
        let Judged { tally, case } = judged(Scenario::Atm, both, state(5_000, 1));
        assert_eq!((tally.lost_updates, tally.over_issued, tally.damage), (1, 3_000, 1));
        assert_eq!(case, Some(Case { record: 0, first: 0, second: 1 }));
    }

    #[test]
    fn two_tickets_without_a_lost_update_are_damage_too() {
        let both = [granted(state(1, 0), 1), granted(state(0, 1), 1)];
        let Judged { tally, case } = judged(Scenario::Ticket, both, state(-1, 2));
        assert_eq!((tally.lost_updates, tally.over_issued, tally.damage), (0, 1, 1));
        assert!(case.is_some());
    }

    #[test]
    fn the_same_receipt_is_one_effect_and_another_is_a_second() {
        let once = judged(Scenario::DoubleClick, [receipt("17"), receipt("17")], state(7_000, 1));
        assert_eq!((once.tally.granted, once.tally.damage, once.tally.over_issued), (2, 0, 0));
        let twice = judged(Scenario::DoubleClick, [receipt("17"), receipt("18")], state(4_000, 2));
        assert_eq!((twice.tally.doubled, twice.tally.damage, twice.tally.over_issued), (1, 1, 3_000));
        assert_eq!(twice.case, Some(Case { record: 0, first: 0, second: 1 }));
        // One who says that it was once and charges twice is found by what is left.
        let lied = judged(Scenario::DoubleClick, [receipt("17"), receipt("17")], state(4_000, 2));
        assert_eq!((lied.tally.doubled, lied.tally.damage, lied.tally.over_issued), (0, 1, 3_000));
    }

    #[test]
    fn yes_and_no_to_the_same_request_is_damage() {
        let both = judged(Scenario::DoubleClick, [receipt("17"), refused()], state(7_000, 1));
        assert_eq!((both.tally.contradicted, both.tally.damage, both.tally.refused_wrongly), (1, 1, 0));
        assert_eq!(both.case, Some(Case { record: 0, first: 0, second: 1 }));
    }

    #[test]
    fn who_is_refused_while_enough_is_left_is_refused_wrongly() {
        let nobody =
            judged(Scenario::Ticket, [refused(), trace([Step::Answered(Reply::GaveUp)])], state(1, 0));
        assert_eq!((nobody.tally.refused_wrongly, nobody.tally.gave_up, nobody.tally.damage), (2, 1, 0));
        // $20.00 are left of $100.00: not enough for the $50.00.
        let rightly = judged(Scenario::Atm, [granted(state(10_000, 0), 8_000), refused()], state(2_000, 1));
        assert_eq!(rightly.tally.refused_wrongly, 0);
    }

    #[test]
    fn beginning_again_is_counted() {
        let tries = [Step::Overtaken, Step::Fenced, Step::LockEnded, Step::Answered(Reply::Refused)];
        let judged = judged(Scenario::Ticket, [granted(state(1, 0), 1), trace(tries)], state(0, 1));
        assert_eq!(judged.tally.retries, 3);
    }
}
