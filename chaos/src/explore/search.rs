//! Every order within a bound: those first in which least goes wrong, and of these the shortest.
//!
//! What follows from a state depends on nothing but the state and what is left of the bound. So a state that was come to
//! with at least as much left is not gone on from: whatever can follow is walked from there. One such branch in
//! ten is gone on from all the same and must come to states that were seen. One order in a hundred is made for real,
//! by new processes on a Redis of its own, and must come to the same state; and once more with a restart of Redis in it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::runtime::Runtime;
use tollgate::Tollgate;
use tollgate::sabotage::Sabotage;

use super::bound::Bound;
use super::judge::judge;
use super::memo::Memo;
use super::numbered::hash;
use super::report::{Failing, Figures};
use super::state::State;
use super::step::{Step, written};
use super::world::{End, World};
use crate::stage::complain;

/// One in so many branches that are cut is walked to its end: a look-up for each step.
const CUT_WALKED: u64 = 10;
/// One in so many orders is made for real.
const REAL_EVERY: u64 = 100;
/// How often it is said how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// One order that was made for real.
pub(super) struct Walked {
    pub(super) end: Failing,
    /// A hash of every reply that every process had, and of what Redis held before the drain.
    pub(super) trace: u64,
}

pub(super) struct Search<'s, 'a> {
    pub(super) memo: Memo<'a>,
    pub(super) runtime: &'s Runtime,
    pub(super) tollgate: &'a Tollgate,
    /// The same namespace on the server where orders are made for real.
    pub(super) real_tollgate: &'a Tollgate,
    pub(super) sabotage: Option<Sabotage>,
    pub(super) bound: Bound,
    /// When to stop, whole or not.
    pub(super) until: Option<Instant>,
    /// After how many orders to stop, whole or not.
    pub(super) orders_max: Option<NonZeroU64>,
    /// Says now and then how far it is.
    pub(super) tells_progress: bool,
    /// Compares states without what Redis holds, to see that walks of what was cut notice.
    pub(super) forgets_database: bool,
}

/// How a state was come to first.
struct Node {
    before: u32,
    step: Step,
}

/// One walk through all of it.
struct Walk {
    nodes: Vec<Node>,
    seen: HashMap<u64, Lefts>,
    /// By how much has gone wrong so far: what is gone on from next.
    waiting: Vec<VecDeque<(u32, State, Bound)>>,
    /// Branches that were cut and are to be walked all the same.
    samples: Vec<(State, Bound)>,
    ended: HashSet<u64>,
    outcomes: HashSet<u64>,
    figures: Figures,
}

/// What was left of the bound when a state was come to: nothing of it covers another.
enum Lefts {
    One(Bound),
    More(Vec<Bound>),
}

impl Lefts {
    fn all(&self) -> &[Bound] {
        match self {
            Self::One(left) => std::slice::from_ref(left),
            Self::More(lefts) => lefts,
        }
    }

    fn covers(&self, left: Bound) -> bool {
        self.all().iter().any(|before| before.covers(left))
    }

    fn add(&mut self, left: Bound) {
        let mut kept: Vec<Bound> =
            self.all().iter().copied().filter(|before| !left.covers(*before)).collect();
        kept.push(left);
        *self = if kept.len() == 1 { Self::One(left) } else { Self::More(kept) };
    }
}

impl Search<'_, '_> {
    /// Walks them all; stops at the first whose end is wrong.
    pub(super) fn run(&mut self) -> anyhow::Result<(Figures, Option<Failing>)> {
        let begun = Instant::now();
        Sabotage::plant_in_thread(self.sabotage);
        loop {
            let found = self.attempt()?;
            if self.memo.databases.has_learned {
                // A script was loaded that no order had before, which changed that order: all from the beginning.
                self.memo.databases.unlearn();
                continue;
            }
            let (mut figures, failing) = found;
            let (databases, histories, asked, told) = self.memo.sizes();
            figures.seconds = begun.elapsed().as_secs_f64();
            return Ok((Figures { databases, histories, asked, told, ..figures }, failing));
        }
    }

    fn attempt(&mut self) -> anyhow::Result<(Figures, Option<Failing>)> {
        let first = World::begin(&mut self.memo, self.bound)?.state;
        let mut walk = Walk {
            nodes: vec![Node { before: 0, step: Step::Restart }],
            seen: HashMap::new(),
            waiting: vec![VecDeque::new(); usize::from(self.bound.all) + 1],
            samples: Vec::new(),
            ended: HashSet::new(),
            outcomes: HashSet::new(),
            figures: Figures { whole_together: None, ..Figures::default() },
        };
        walk.seen.insert(self.hash(&first), Lefts::One(self.bound));
        walk.waiting[0].push_back((0, first, self.bound));
        let mut count = 0_u64;
        let mut told = Instant::now();
        for together in 0..walk.waiting.len() {
            while let Some((node, state, left)) = walk.waiting[together].pop_front() {
                // It was come to with more left meanwhile.
                if !walk.seen.get(&self.hash(&state)).is_some_and(|lefts| lefts.all().contains(&left)) {
                    walk.figures.cut += 1;
                    continue;
                }
                walk.figures.states += 1;
                if let Some(failing) = self.follow(&mut walk, node, state, left)? {
                    return Ok((walk.figures, Some(failing)));
                }
                count += 1;
                let is_time = count.is_multiple_of(256);
                if is_time && self.tells_progress && told.elapsed() >= TOLD_EVERY {
                    told = Instant::now();
                    let Figures { orders, states, .. } = walk.figures;
                    complain(format_args!(
                        "{}: {together} of {} go wrong together; {orders} orders, {states} states so far",
                        self.memo.scenario.name, self.bound.all
                    ));
                }
                let is_over = (is_time && self.until.is_some_and(|until| Instant::now() >= until))
                    || self.orders_max.is_some_and(|most| walk.figures.orders >= most.get());
                if self.memo.databases.has_learned || is_over {
                    walk.figures.left_over = walk.waiting.iter().map(VecDeque::len).sum();
                    return Ok((walk.figures, None));
                }
            }
            walk.figures.whole_together = Some(together as u8);
        }
        for (state, left) in std::mem::take(&mut walk.samples) {
            self.follow_cut(&mut walk, state, left)?;
        }
        walk.figures.is_whole = true;
        Ok((walk.figures, None))
    }

    fn hash(&self, state: &State) -> u64 {
        if self.forgets_database { hash(&state.without_database()) } else { hash(state) }
    }

    /// Takes every step that can be taken from a state.
    fn follow(
        &mut self,
        walk: &mut Walk,
        node: u32,
        state: State,
        left: Bound,
    ) -> anyhow::Result<Option<Failing>> {
        let choices = World::at(&mut self.memo, state.clone(), left).choices();
        if choices.is_empty() {
            return self.end(walk, node, state);
        }
        for choice in choices {
            let mut world = World::at(&mut self.memo, state.clone(), left);
            world.take(choice)?;
            let (state, left) = (world.state, world.left);
            let hash = self.hash(&state);
            let lefts = walk.seen.get_mut(&hash);
            if lefts.as_ref().is_some_and(|lefts| lefts.covers(left)) {
                walk.figures.cut += 1;
                if walk.figures.cut.is_multiple_of(CUT_WALKED) {
                    walk.samples.push((state, left));
                }
                continue;
            }
            match lefts {
                Some(lefts) => lefts.add(left),
                None => _ = walk.seen.insert(hash, Lefts::One(left)),
            }
            let next = u32::try_from(walk.nodes.len()).context("more states than can be numbered")?;
            walk.nodes.push(Node { before: node, step: choice.step });
            walk.waiting[usize::from(self.bound.all - left.all)].push_back((next, state, left));
        }
        Ok(None)
    }

    /// The end of an order: it is drained and judged, unless one like it was.
    fn end(&mut self, walk: &mut Walk, node: u32, state: State) -> anyhow::Result<Option<Failing>> {
        let figures = &mut walk.figures;
        figures.orders += 1;
        let orders = figures.orders;
        let steps = walk.steps_to(node);
        walk.figures.steps_most = walk.figures.steps_most.max(steps.len());
        if walk.ended.insert(hash(&state)) {
            let end = World::at(&mut self.memo, state.clone(), Bound::default()).end()?;
            if self.memo.databases.has_learned {
                return Ok(None);
            }
            if end.undone.is_some() || walk.outcomes.insert(hash(&end.outcome)) {
                walk.figures.ends += 1;
                let wrong = self.judge(&end)?;
                if !wrong.is_empty() {
                    return self.really(&steps, Some(&state)).map(Some);
                }
            }
        }
        if !orders.is_multiple_of(REAL_EVERY) {
            return Ok(None);
        }
        walk.figures.real += 1;
        let found = self.really(&steps, Some(&state))?;
        ensure!(found.wrong.is_empty(), "made for real it is wrong: {}: {:?}", written(&steps), found.wrong);
        self.with_restart(&steps, orders)
    }

    /// Walks along a branch that was cut: whatever comes was seen.
    fn follow_cut(&mut self, walk: &mut Walk, state: State, left: Bound) -> anyhow::Result<()> {
        walk.figures.cut_walked += 1;
        let number = walk.figures.cut_walked as usize;
        let (mut state, mut left) = (state, left);
        let mut steps = Vec::new();
        loop {
            let is_seen = walk.seen.get(&self.hash(&state)).is_some_and(|lefts| lefts.covers(left));
            ensure!(
                is_seen,
                "a branch that was cut comes to a state that was not seen, by {}",
                written(&steps)
            );
            let mut world = World::at(&mut self.memo, state, left);
            let choices = world.choices();
            if choices.is_empty() {
                return Ok(());
            }
            // Not always the first: the walk is a sample.
            let choice = choices[(number + steps.len()) % choices.len()];
            world.take(choice)?;
            steps.push(choice.step);
            (state, left) = (world.state, world.left);
        }
    }

    /// What is wrong at an end that was come to by what is known.
    fn judge(&mut self, end: &End) -> anyhow::Result<Vec<String>> {
        let (database, bank, words) = &end.outcome;
        let databases = &mut *self.memo.databases;
        let content = databases.get(*database).content.clone();
        databases.knowing.put(&content)?;
        let (scenario, bank) = (self.memo.scenario, self.memo.bank(*bank));
        let mut wrong = self.runtime.block_on(judge(self.tollgate, scenario, bank, words))?;
        wrong.extend(end.undone.clone());
        Ok(wrong)
    }

    /// An order made for real, drained and judged. It has to come to `state`, if one is given.
    fn really(&mut self, steps: &[Step], state: Option<&State>) -> anyhow::Result<Failing> {
        let (found, came_to) = self.made(|world| steps.iter().try_for_each(|step| world.make(*step)))?;
        ensure!(
            state.is_none_or(|state| *state == came_to),
            "made for real an order comes to another state: {}",
            written(steps)
        );
        Ok(found)
    }

    /// What is made for real; the state before the drain.
    fn made(
        &mut self,
        make: impl FnOnce(&mut World<'_, '_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<(Failing, State)> {
        self.memo.is_real = true;
        let ended: anyhow::Result<(Vec<Step>, State, End)> = (|| {
            let mut world = World::begin(&mut self.memo, Bound::default())?;
            let made = make(&mut world);
            let (steps, state) = (world.steps.clone(), world.state.clone());
            // Also after a step that does not fit: it does not where a script is met for the first time, which is
            // loaded now at the latest.
            let end = world.end();
            made?;
            Ok((steps, state, end?))
        })();
        self.memo.is_real = false;
        self.memo.members.end_all();
        let (steps, state, end) = ended?;
        let (_, bank, words) = &end.outcome;
        let (scenario, bank) = (self.memo.scenario, self.memo.bank(*bank));
        let mut wrong = self.runtime.block_on(judge(self.real_tollgate, scenario, bank, words))?;
        wrong.extend(end.undone);
        let timeline = end.timeline.context("an order made for real is drawn")?;
        Ok((Failing { steps, wrong, timeline }, state))
    }

    /// The same order, with a restart of Redis somewhere in it.
    fn with_restart(&mut self, steps: &[Step], number: u64) -> anyhow::Result<Option<Failing>> {
        let at = (number / REAL_EVERY) as usize % (steps.len() + 1);
        let (before, after) = steps.split_at(at);
        let (found, _) = self.made(|world| {
            before.iter().try_for_each(|step| world.make(*step))?;
            world.make(Step::Restart)?;
            // Scripts are loaded again, so that calls may have other numbers: what does not fit is left to the drain.
            let fits = after.iter().take_while(|step| world.make(**step).is_ok()).count();
            world.steps.truncate(at + 1 + fits);
            Ok(())
        })?;
        Ok((!found.wrong.is_empty()).then_some(found))
    }

    /// One order, as it was written.
    pub(super) fn walk(&mut self, steps: &[Step]) -> anyhow::Result<Walked> {
        Sabotage::plant_in_thread(self.sabotage);
        loop {
            let walked = self.made(|world| steps.iter().try_for_each(|step| world.make(*step)));
            if self.memo.databases.has_learned {
                self.memo.databases.unlearn();
                continue;
            }
            let (end, state) = walked?;
            return Ok(Walked { end, trace: self.memo.trace(&state) });
        }
    }

    /// Whether time is left.
    pub(super) fn for_at_most(&mut self, time: Option<Duration>) {
        self.until = time.map(|time| Instant::now() + time);
    }
}

impl Walk {
    fn steps_to(&self, node: u32) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut at = node;
        while at != 0 {
            let Node { before, step } = &self.nodes[at as usize];
            steps.push(*step);
            at = *before;
        }
        steps.reverse();
        steps
    }
}
