//! Every order within a bound, depth first: each is made from the start, since a process's memory cannot be put back.
//!
//! What follows from a state depends on nothing but the state and what is left of the bound. So a state that was seen
//! with at least as much left is not gone on from: whatever can follow has been seen. One in a thousand is gone on
//! from all the same, and must come to states that were seen: a test of the hash.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::runtime::Runtime;
use tollgate::Tollgate;
use tollgate::sabotage::Sabotage;

use super::bound::Bound;
use super::drawing::Drawing;
use super::ground::Ground;
use super::judge::judge;
use super::scenario::Scenario;
use super::step::Step;
use super::world::{Choice, World};

/// One in so many branches that are cut is walked to its end.
const CUT_WALKED: u64 = 1_000;
/// In one of so many orders Redis is really restarted.
const RESTART_EVERY: u64 = 100;

/// What was done.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub(super) struct Figures {
    /// Orders that were walked to their end.
    pub(super) orders: u64,
    /// Branches that were cut, since their state was seen.
    pub(super) cut: u64,
    /// Of those, walked to their end all the same.
    pub(super) cut_walked: u64,
    pub(super) states: u64,
    /// Different ends, each judged.
    pub(super) ends: u64,
    /// Orders that were walked again with a restart of Redis in them.
    pub(super) restarts: u64,
    pub(super) steps_most: usize,
    pub(super) seconds: f64,
    /// Whether every order within the bound was walked or cut.
    pub(super) is_whole: bool,
}

/// An order whose end is wrong.
#[derive(Debug, Clone)]
pub(super) struct Failing {
    pub(super) steps: Vec<Step>,
    pub(super) wrong: Vec<String>,
    pub(super) drawing: Drawing,
}

/// One order that was walked.
pub(super) struct Walked {
    pub(super) end: Failing,
    /// A hash of every reply that every process had, and of what Redis held before the drain.
    pub(super) trace: u64,
}

pub(super) struct Search<'a> {
    pub(super) ground: &'a mut Ground,
    /// The one that Redis is restarted on.
    pub(super) persistent: Option<(&'a mut Ground, &'a Tollgate)>,
    pub(super) runtime: &'a Runtime,
    pub(super) tollgate: &'a Tollgate,
    pub(super) scenario: &'a Scenario,
    pub(super) sabotage: Option<Sabotage>,
    pub(super) bound: Bound,
    /// When to stop, whole or not.
    pub(super) until: Option<Instant>,
}

struct Frame {
    choices: Vec<Choice>,
    taken: usize,
}

impl Search<'_> {
    /// Walks them all; stops at the first whose end is wrong.
    pub(super) fn run(&mut self) -> anyhow::Result<(Figures, Option<Failing>)> {
        loop {
            if let Some(done) = self.attempt()? {
                return Ok(done);
            }
            // A script was loaded that no order had before, which changed that order: all from the beginning.
        }
    }

    fn attempt(&mut self) -> anyhow::Result<Option<(Figures, Option<Failing>)>> {
        let begun = Instant::now();
        let mut figures = Figures::default();
        let mut seen: HashMap<u64, Vec<Bound>> = HashMap::new();
        let mut ends: HashSet<u64> = HashSet::new();
        let mut stack: Vec<Frame> = Vec::new();
        loop {
            let scenario = self.scenario;
            let mut world = World::begin(self.ground, scenario, self.tollgate, self.sabotage, self.bound)?;
            for frame in &stack {
                world.take(frame.choices[frame.taken])?;
            }
            // A walk along a branch that was cut.
            let mut walks = false;
            let is_end = loop {
                let (look, state) = world.look()?;
                let left = world.left;
                let of_state = seen.entry(state).or_default();
                let is_seen = of_state.iter().any(|before| before.covers(left));
                ensure!(
                    !walks || is_seen,
                    "a branch that was cut came to a new state: {}",
                    written(&world.steps)
                );
                if is_seen && !walks {
                    figures.cut += 1;
                    if figures.cut % CUT_WALKED != 0 {
                        break false;
                    }
                    figures.cut_walked += 1;
                    walks = true;
                } else if !is_seen {
                    figures.states += 1;
                    of_state.retain(|before| !left.covers(*before));
                    of_state.push(left);
                }
                let choices = world.choices(&look);
                if choices.is_empty() {
                    break true;
                }
                // Not always the first: the walk is a sample.
                let taken =
                    if walks { figures.cut as usize / CUT_WALKED as usize % choices.len() } else { 0 };
                world.take(choices[taken])?;
                if !walks {
                    stack.push(Frame { choices, taken });
                }
            };
            if is_end {
                figures.orders += 1;
                figures.steps_most = figures.steps_most.max(world.steps.len());
                let steps = world.steps.clone();
                let undone = world.drain()?;
                if !walks && undone.is_none() && !ends.insert(world.outcome()?) {
                    // Judged before.
                } else {
                    let (bank, words, drawing) =
                        (world.bank.clone(), world.diary.words(), world.drawing.clone());
                    let mut wrong = self.runtime.block_on(judge(self.tollgate, scenario, &bank, &words))?;
                    wrong.extend(undone);
                    figures.ends = ends.len() as u64;
                    if !wrong.is_empty() && !self.ground.has_learned {
                        figures.seconds = begun.elapsed().as_secs_f64();
                        return Ok(Some((figures, Some(Failing { steps, wrong, drawing }))));
                    }
                }
                if figures.orders % RESTART_EVERY == 0
                    && let Some(failing) = self.with_restart(&steps, figures.orders)?
                {
                    figures.seconds = begun.elapsed().as_secs_f64();
                    return Ok(Some((figures, Some(failing))));
                }
                figures.restarts = figures.orders / RESTART_EVERY;
            }
            if self.ground.has_learned {
                return Ok(None);
            }
            while let Some(frame) = stack.last_mut() {
                frame.taken += 1;
                if frame.taken < frame.choices.len() {
                    break;
                }
                stack.pop();
            }
            let is_over = self.until.is_some_and(|until| Instant::now() >= until);
            if stack.is_empty() || is_over {
                figures.is_whole = stack.is_empty();
                figures.seconds = begun.elapsed().as_secs_f64();
                return Ok(Some((figures, None)));
            }
        }
    }

    /// The same order, with a restart of Redis somewhere in it.
    fn with_restart(&mut self, steps: &[Step], number: u64) -> anyhow::Result<Option<Failing>> {
        let Some((ground, tollgate)) = &mut self.persistent else { return Ok(None) };
        ground.learn_from(self.ground);
        let at = number as usize / RESTART_EVERY as usize % (steps.len() + 1);
        let mut world = World::begin(ground, self.scenario, tollgate, self.sabotage, self.bound)?;
        let (before, after) = steps.split_at(at);
        before.iter().try_for_each(|step| world.make(*step))?;
        world.make(Step::Restart)?;
        // Scripts are loaded again, so that calls may have other numbers: what does not fit is left to the drain.
        let fits = after.iter().take_while(|step| world.make(**step).is_ok()).count();
        let steps = [before, &[Step::Restart], &after[..fits]].concat();
        let undone = world.drain()?;
        let (bank, words, drawing) = (world.bank.clone(), world.diary.words(), world.drawing.clone());
        let mut wrong = self.runtime.block_on(judge(tollgate, self.scenario, &bank, &words))?;
        wrong.extend(undone);
        Ok((!wrong.is_empty()).then_some(Failing { steps, wrong, drawing }))
    }

    /// One order, as it was written.
    pub(super) fn walk(&mut self, steps: &[Step]) -> anyhow::Result<Walked> {
        let (ground, tollgate) = match &mut self.persistent {
            Some((ground, tollgate)) if steps.contains(&Step::Restart) => (&mut **ground, *tollgate),
            _ => (&mut *self.ground, self.tollgate),
        };
        loop {
            let mut world = World::begin(ground, self.scenario, tollgate, self.sabotage, self.bound)?;
            let made = steps.iter().try_for_each(|step| world.make(*step));
            let (_, trace) = world.look()?;
            let undone = world.drain()?;
            let (bank, words, drawing) = (world.bank.clone(), world.diary.words(), world.drawing.clone());
            if std::mem::take(&mut ground.has_learned) {
                continue;
            }
            made?;
            let mut wrong = self.runtime.block_on(judge(tollgate, self.scenario, &bank, &words))?;
            wrong.extend(undone);
            return Ok(Walked { end: Failing { steps: steps.to_vec(), wrong, drawing }, trace });
        }
    }

    /// Whether time is left.
    pub(super) fn for_at_most(&mut self, time: Option<Duration>) {
        self.until = time.map(|time| Instant::now() + time);
    }
}

/// An order as the command line takes it.
pub(super) fn written(steps: &[Step]) -> String {
    steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
