//! A fleet in the middle of an order: what can happen next, and what happens when it does.

mod choices;
mod drain;

use anyhow::{Context, anyhow};

use super::bound::Bound;
use super::call::{self, Nature};
use super::ground::Look;
use super::memo::Memo;
use super::scenario::Word;
use super::state::{Just, State};
use super::step::{Call, Choice, Step, written};
use super::timeline::Timeline;

pub(super) struct World<'w, 'a> {
    memo: &'w mut Memo<'a>,
    pub(super) state: State,
    pub(super) left: Bound,
    /// Only of an order that is made for real.
    timeline: Option<Timeline>,
    pub(super) steps: Vec<Step>,
}

impl<'w, 'a> World<'w, 'a> {
    /// The beginning of an order.
    pub(super) fn begin(memo: &'w mut Memo<'a>, left: Bound) -> anyhow::Result<Self> {
        let (database, bank) = memo.begin()?;
        let fleet = &memo.scenario.fleet;
        let timeline = memo.is_real.then(|| Timeline::new(fleet.iter().map(|(name, _)| *name)));
        let state = State {
            database,
            loaded: None,
            bank,
            members: Vec::new(),
            late: Vec::new(),
            last: None,
            just: Just::Otherwise,
        };
        let mut world = Self { memo, state, left, timeline, steps: Vec::new() };
        for (place, (name, _)) in fleet.iter().enumerate() {
            world.start(*name, place)?;
        }
        Ok(world)
    }

    /// The middle of one.
    pub(super) fn at(memo: &'w mut Memo<'a>, state: State, left: Bound) -> Self {
        Self { memo, state, left, timeline: None, steps: Vec::new() }
    }

    /// Starts a process; a worker gets to where it waits for jobs.
    fn start(&mut self, name: char, place: usize) -> anyhow::Result<()> {
        let begun = self.memo.start(name, place)?;
        self.state.members.push((name, place, Some(begun)));
        self.state.members.sort_unstable();
        if self.is_worker(place) {
            let waits = self.look().waits;
            let goes_on = |nature: Nature| match nature {
                Nature::Wait => false,
                Nature::Take => !waits,
                other => !other.is_poll(),
            };
            loop {
                let call = self.calls(name).find(|(_, nature)| goes_on(*nature));
                let Some((call, _)) = call else { break };
                let asked = self.asked(call)?;
                let told = self.execute(asked)?;
                self.tell(call, told)?;
            }
        }
        let (_, ready) = self.living(name)?;
        self.memo.is_ready(name, ready);
        Ok(())
    }

    fn is_worker(&self, place: usize) -> bool {
        matches!(self.memo.scenario.fleet[place].1, super::scenario::Role::Worker)
    }

    pub(super) fn look(&self) -> &Look {
        &self.memo.databases.get(self.state.database).look
    }

    /// What people were told.
    pub(super) fn words(&self) -> Vec<Word> {
        let lives = self.state.members.iter().filter_map(|(.., member)| *member);
        lives.flat_map(|member| self.memo.members.get(member).words.iter().cloned()).collect()
    }

    /// The database and the bank, and what people were told: what the outside can see.
    pub(super) fn outcome(&self) -> (u32, u32, Vec<Word>) {
        (self.state.database, self.state.bank, self.words())
    }

    pub(super) fn take(&mut self, choice: Choice) -> anyhow::Result<()> {
        self.left = self.left.after(choice.cost).context("a step beyond the bound")?;
        self.make(choice.step)
    }

    /// Makes a step, whatever it costs.
    pub(super) fn make(&mut self, step: Step) -> anyhow::Result<()> {
        self.steps.push(step);
        self.state.just = match step {
            Step::Run(_) | Step::LoseReply(_) | Step::LeaveOut(_) | Step::Delay(_) | Step::Drop(_) => {
                Just::WentOn
            }
            Step::Flush => Just::Flushed,
            _ => Just::Otherwise,
        };
        match step {
            Step::Run(call) => {
                let asked = self.asked(call)?;
                let told = self.execute(asked)?;
                self.draw(call, asked, told, "");
                self.tell(call, told)?;
                self.state.last = Some(call.process);
            }
            Step::LoseReply(call) => {
                let asked = self.asked(call)?;
                let told = self.execute(asked)?;
                self.draw(call, asked, told, ", and the reply is lost");
                self.break_off(call)?;
            }
            Step::LeaveOut(call) => {
                let asked = self.asked(call)?;
                self.note(call, asked, "does not run, and no reply comes");
                self.break_off(call)?;
            }
            Step::Delay(call) => {
                let asked = self.asked(call)?;
                self.note(call, asked, "is late, and given up");
                self.state.late.push((call, asked));
                self.break_off(call)?;
            }
            Step::Arrive(call) => {
                let place = self.state.late.iter().position(|(late, _)| *late == call);
                let (_, asked) =
                    self.state.late.remove(place.with_context(|| format!("{call} is not on its way"))?);
                let told = self.execute(asked)?;
                self.draw(call, asked, told, ", late, heard by nobody");
            }
            Step::Drop(name) => {
                self.say(name, || "all its connections break".to_owned());
                self.break_all(name)?;
            }
            Step::Die(name) => {
                self.say(name, || "dies".to_owned());
                self.place_of(name)?.2 = None;
            }
            Step::DieSending(call) => {
                let asked = self.asked(call)?;
                self.note(call, asked, "is on its way");
                self.say(call.process, || "dies".to_owned());
                self.state.late.push((call, asked));
                self.place_of(call.process)?.2 = None;
            }
            Step::Flush => {
                self.memo.flush()?;
                self.state.loaded = Some(0);
                self.say_all("Redis forgets its scripts");
            }
            Step::Restart => {
                self.state.database = self.memo.restart()?;
                self.state.loaded = Some(0);
                self.say_all("Redis is killed and started again");
            }
            Step::Tick => {
                let ms = self.memo.scenario.tick_ms;
                self.state.database = self.memo.later(self.state.database, ms)?;
                self.say_all(&format!("{} s go by on the server's clock", ms / 1_000));
            }
        }
        Ok(())
    }

    pub(super) fn what_waits(&self) -> String {
        let lives = self.state.members.iter().filter_map(|(name, _, member)| Some((name, (*member)?)));
        let calls = lives.flat_map(|(name, member)| {
            let waiting = self.memo.members.get(member).waiting.iter();
            waiting
                .map(move |(no, asked, _)| format!("{name}{no} {}", call::asks(self.memo.asked(*asked), &[])))
        });
        calls.collect::<Vec<_>>().join(", ")
    }

    fn calls(&self, name: char) -> impl Iterator<Item = (Call, Nature)> + '_ {
        let member =
            self.state.members.iter().find(|(other, ..)| *other == name).and_then(|(.., member)| *member);
        let waiting =
            member.map(|member| self.memo.members.get(member).waiting.as_slice()).unwrap_or_default();
        waiting.iter().map(move |(no, _, nature)| (Call { process: name, no: *no }, *nature))
    }

    fn asked(&self, call: Call) -> anyhow::Result<u32> {
        let place = self.state.members.iter().find(|(name, ..)| *name == call.process);
        let waiting = place.and_then(|(.., member)| self.memo.waiting((*member)?, call.no));
        waiting.map(|(asked, _)| asked).ok_or_else(|| {
            let steps = written(&self.steps);
            anyhow!("{call} does not wait at the end of {steps}; what waits: {}", self.what_waits())
        })
    }

    fn execute(&mut self, asked: u32) -> anyhow::Result<u32> {
        let State { database, bank, loaded, .. } = &mut self.state;
        self.memo.run(asked, database, bank, loaded)
    }

    fn tell(&mut self, call: Call, told: u32) -> anyhow::Result<()> {
        let (at, member) = self.living(call.process)?;
        self.state.members[at].2 = Some(self.memo.tell(member, call.no, told)?);
        Ok(())
    }

    /// Its connection broke.
    fn break_off(&mut self, call: Call) -> anyhow::Result<()> {
        let broken = self.memo.broken(self.asked(call)?);
        self.tell(call, broken)?;
        self.state.last = Some(call.process);
        Ok(())
    }

    /// Every connection of a process breaks. What it does about the first changes which of its other calls still wait.
    fn break_all(&mut self, name: char) -> anyhow::Result<()> {
        let calls: Vec<Call> = self.calls(name).map(|(call, _)| call).collect();
        for call in calls {
            if self.calls(name).any(|(waiting, _)| waiting == call) {
                self.break_off(call)?;
            }
        }
        Ok(())
    }

    fn living(&mut self, name: char) -> anyhow::Result<(usize, u32)> {
        let mut places = self.state.members.iter().enumerate();
        let found = places.find(|(_, (other, ..))| *other == name);
        found
            .and_then(|(at, (.., member))| Some((at, (*member)?)))
            .with_context(|| format!("{name} does not live"))
    }

    fn place_of(&mut self, name: char) -> anyhow::Result<&mut (char, usize, Option<u32>)> {
        let place = self.state.members.iter_mut().find(|(other, ..)| *other == name);
        place.with_context(|| format!("there is no {name}"))
    }

    fn draw(&mut self, call: Call, asked: u32, told: u32, how: &str) {
        let ids = &self.memo.scenario.ids;
        if let Some(timeline) = &mut self.timeline {
            let (asks, says) =
                (call::asks(self.memo.asked(asked), ids), call::says(self.memo.told(told), ids));
            timeline.add(call.process, format!("{asks} -> {says}{how}"));
        }
    }

    fn note(&mut self, call: Call, asked: u32, what: &str) {
        if let Some(timeline) = &mut self.timeline {
            let asks = call::asks(self.memo.asked(asked), &self.memo.scenario.ids);
            timeline.add(call.process, format!("{asks} {what}"));
        }
    }

    fn say(&mut self, name: char, what: impl FnOnce() -> String) {
        if let Some(timeline) = &mut self.timeline {
            timeline.add(name, what());
        }
    }

    fn say_all(&mut self, what: &str) {
        if let Some(timeline) = &mut self.timeline {
            timeline.add_to_all(what);
        }
    }

    /// What it looks like, and what remains undone when all is drained.
    pub(super) fn end(mut self) -> anyhow::Result<End> {
        let undone = self.drain()?;
        let outcome = self.outcome();
        Ok(End { outcome, undone, timeline: self.timeline })
    }
}

/// The end of an order, drained.
#[derive(Debug, Clone)]
pub(super) struct End {
    /// The database, the bank, and what people were told.
    pub(super) outcome: (u32, u32, Vec<Word>),
    pub(super) undone: Option<String>,
    pub(super) timeline: Option<Timeline>,
}
