//! A fleet in the middle of an order: what can happen next, and what happens when it does.

mod drain;

use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, anyhow};
use tollgate::Tollgate;
use tollgate::failure::Failure;
use tollgate::sabotage::Sabotage;
use tollgate_worker::explore as worker;

use super::bank::Bank;
use super::bound::Bound;
use super::call::{self, Nature};
use super::drawing::Drawing;
use super::ground::{Ground, Look};
use super::process::{Asked, Process, Told};
use super::scenario::{Diary, Role, Scenario};
use super::step::{Call, Step};

/// What a step may be, and what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) step: Step,
    pub(super) cost: Bound,
}

pub(super) struct World<'a> {
    pub(super) ground: &'a mut Ground,
    scenario: &'a Scenario,
    tollgate: &'a Tollgate,
    processes: Vec<(char, &'a Role, Process)>,
    /// Calls that are on their way though their sender has gone on.
    late: Vec<(Call, Asked)>,
    pub(super) bank: Bank,
    pub(super) diary: Diary,
    pub(super) left: Bound,
    /// Who made the last step.
    last: Option<char>,
    /// Scripts that were loaded since the server forgot all, in a hash; `None` before.
    loaded: Option<u64>,
    pub(super) drawing: Drawing,
    pub(super) steps: Vec<Step>,
}

impl<'a> World<'a> {
    pub(super) fn begin(
        ground: &'a mut Ground,
        scenario: &'a Scenario,
        tollgate: &'a Tollgate,
        sabotage: Option<Sabotage>,
        bound: Bound,
    ) -> anyhow::Result<Self> {
        ground.reset()?;
        Sabotage::plant_in_thread(sabotage);
        let names = scenario.fleet.iter().map(|(name, _)| *name);
        let mut world = World {
            ground,
            scenario,
            tollgate,
            processes: Vec::new(),
            late: Vec::new(),
            bank: Bank::default(),
            diary: Diary::default(),
            left: bound,
            last: None,
            loaded: None,
            drawing: Drawing::new(names),
            steps: Vec::new(),
        };
        for (name, role) in &scenario.fleet {
            world.start(*name, role)?;
        }
        Ok(world)
    }

    /// Starts a process; a worker gets to where it waits for jobs.
    fn start(&mut self, name: char, role: &'a Role) -> anyhow::Result<()> {
        let (scenario, diary) = (self.scenario, self.diary.clone());
        let process = Process::start(u64::from(u32::from(name)), |gate, bank| {
            let tollgate = self.tollgate.through(self.tollgate.server().gated(gate));
            match role {
                Role::Worker => Box::pin(worker::live(worker::Member {
                    consumer: consumer(name),
                    tollgate,
                    batch_max: scenario.batch,
                    bank: scenario.pays.then_some(bank),
                })),
                Role::Script(life) => life(tollgate, diary),
            }
        })?;
        self.processes.retain(|(other, ..)| *other != name);
        self.processes.push((name, role, process));
        self.processes.sort_by_key(|(name, ..)| *name);
        if matches!(role, Role::Worker) {
            let waits = self.ground.look()?.waits;
            let goes_on = |nature: Nature| match nature {
                Nature::Wait => false,
                Nature::Take => !waits,
                other => !other.is_poll(),
            };
            while let Some(call) = self.calls(name).into_iter().find(|(_, nature)| goes_on(*nature)) {
                let call = Call { process: name, no: call.0 };
                let asked = self.asked(call)?;
                let told = self.execute(&asked)?;
                self.tell(call, told)?;
            }
        }
        Ok(())
    }

    /// What Redis holds, and a hash of all that decides what can still happen, but for what is left of the bound.
    pub(super) fn look(&mut self) -> anyhow::Result<(Look, u64)> {
        let look = self.ground.look()?;
        let mut hasher = DefaultHasher::new();
        look.digest.hash(&mut hasher);
        self.ground.clock.now_ms().hash(&mut hasher);
        for (name, _, process) in &self.processes {
            (name, process.lives(), process.history).hash(&mut hasher);
        }
        let mut late: Vec<u64> = self.late.iter().map(|(_, asked)| hash(asked)).collect();
        late.sort_unstable();
        (late, &self.bank, self.last, self.loaded).hash(&mut hasher);
        Ok((look, hasher.finish()))
    }

    /// What the outside can see in the end.
    pub(super) fn outcome(&mut self) -> anyhow::Result<u64> {
        Ok(hash(&(self.ground.look()?.digest, &self.bank, self.diary.words())))
    }

    /// All that can happen next within what is left. Empty when nothing is left to do.
    pub(super) fn choices(&self, look: &Look) -> Vec<Choice> {
        let mut runs = Vec::new();
        let mut others = Vec::new();
        for (name, role, process) in &self.processes {
            if !process.lives() {
                continue;
            }
            let preempts = self.last.is_some_and(|last| last != *name && self.can_go_on(last, look));
            let mut may_be_sending = Vec::new();
            for (no, nature) in self.enabled(*name, look) {
                let call = Call { process: *name, no };
                let mut cost =
                    Bound { preemptions: u8::from(preempts && !nature.is_poll()), ..Bound::default() };
                match nature {
                    Nature::Recover => cost.takeovers = u8::from(self.takes_from_the_living(look, *name)),
                    Nature::Look => cost.looks = 1,
                    _ => {}
                }
                runs.push(Choice { step: Step::Run(call), cost });
                let cost = Bound { faults: 1, ..cost };
                others.push(Choice { step: Step::LeaveOut(call), cost });
                if nature != Nature::Read {
                    others.push(Choice { step: Step::LoseReply(call), cost });
                    others.push(Choice { step: Step::Delay(call), cost });
                    if !nature.is_poll() {
                        may_be_sending.push(call);
                    }
                }
            }
            // At another moment it would be the same death: nothing of this process runs in between.
            if matches!(role, Role::Worker) && self.last == Some(*name) {
                others.push(Choice { step: Step::Die(*name), cost: Bound { deaths: 1, ..Bound::default() } });
                others.extend(may_be_sending.into_iter().map(|call| Choice {
                    step: Step::DieSending(call),
                    cost: Bound { deaths: 1, faults: 1, ..Bound::default() },
                }));
            }
        }
        runs.extend(
            self.late.iter().map(|(call, _)| Choice { step: Step::Arrive(*call), cost: Bound::default() }),
        );
        if self.scenario.tick_ms > 0 {
            runs.push(Choice { step: Step::Tick, cost: Bound { ticks: 1, ..Bound::default() } });
        }
        runs.iter_mut().for_each(|choice| choice.cost = choice.cost.summed());
        others.iter_mut().for_each(|choice| choice.cost = choice.cost.summed());
        runs.retain(|choice| self.left.covers(choice.cost));
        if runs.is_empty() {
            return runs;
        }
        others.push(Choice { step: Step::Flush, cost: Bound { flushes: 1, ..Bound::default() }.summed() });
        others.retain(|choice| self.left.covers(choice.cost));
        runs.extend(others);
        runs
    }

    pub(super) fn take(&mut self, choice: Choice) -> anyhow::Result<()> {
        self.left = self.left.after(choice.cost).context("a step beyond the bound")?;
        self.make(choice.step)
    }

    /// Makes a step, whatever it costs.
    pub(super) fn make(&mut self, step: Step) -> anyhow::Result<()> {
        self.steps.push(step);
        match step {
            Step::Run(call) => {
                let asked = self.asked(call)?;
                let told = self.execute(&asked)?;
                self.draw(call, &asked, &told, "");
                self.tell(call, told)?;
                self.last = Some(call.process);
            }
            Step::LoseReply(call) => {
                let asked = self.asked(call)?;
                let told = self.execute(&asked)?;
                self.draw(call, &asked, &told, ", and the reply is lost");
                self.tell(call, broken(&asked))?;
                self.last = Some(call.process);
            }
            Step::LeaveOut(call) => {
                let asked = self.asked(call)?;
                self.note(call, &asked, "does not run, and no reply comes");
                self.tell(call, broken(&asked))?;
                self.last = Some(call.process);
            }
            Step::Delay(call) => {
                let asked = self.asked(call)?;
                self.note(call, &asked, "is late, and given up");
                self.late.push((call, asked.clone()));
                self.tell(call, broken(&asked))?;
                self.last = Some(call.process);
            }
            Step::Arrive(call) => {
                let place = self.late.iter().position(|(late, _)| *late == call);
                let (_, asked) =
                    self.late.remove(place.with_context(|| format!("{call:?} is not on its way"))?);
                let told = self.execute(&asked)?;
                self.draw(call, &asked, &told, ", late, heard by nobody");
            }
            Step::Die(name) => {
                self.process(name)?.die();
                self.drawing.add(name, "dies".to_owned());
            }
            Step::DieSending(call) => {
                let asked = self.asked(call)?;
                self.note(call, &asked, "is on its way");
                self.late.push((call, asked));
                self.process(call.process)?.die();
                self.drawing.add(call.process, "dies".to_owned());
            }
            Step::Flush => {
                self.ground.flush_scripts()?;
                self.loaded = Some(0);
                self.drawing.add_to_all("Redis forgets its scripts");
            }
            Step::Restart => {
                self.ground.restart()?;
                self.loaded = Some(0);
                self.drawing.add_to_all("Redis is killed and started again");
            }
            Step::Tick => {
                self.ground.clock.step(self.scenario.tick_ms)?;
                self.drawing
                    .add_to_all(&format!("{} s go by on the server's clock", self.scenario.tick_ms / 1_000));
            }
        }
        Ok(())
    }

    fn what_waits(&self) -> String {
        let all = self.processes.iter().flat_map(|(name, _, process)| {
            process.waiting(|waiting| format!("{name}{} {}", waiting.no, call::asks(&waiting.asked, &[])))
        });
        all.collect::<Vec<_>>().join(", ")
    }

    /// Whether it has a call that is no agent's poll and can come to something.
    fn can_go_on(&self, name: char, look: &Look) -> bool {
        self.enabled(name, look).iter().any(|(_, nature)| !nature.is_poll())
    }

    /// The calls that can come to something.
    fn enabled(&self, name: char, look: &Look) -> Vec<(u32, Nature)> {
        let mut calls = self.calls(name);
        calls.retain(|(_, nature)| nature.is_enabled(look, &consumer(name)));
        calls
    }

    /// Whether a recovery would take something over, and from nobody who is dead.
    fn takes_from_the_living(&self, look: &Look, taker: char) -> bool {
        let is_dead = |holder: &str| {
            self.processes.iter().any(|(name, _, process)| consumer(*name) == holder && !process.lives())
        };
        let mut others = look.holders.iter().filter(|holder| **holder != consumer(taker)).peekable();
        others.peek().is_some() && !others.any(|holder| is_dead(holder))
    }

    fn calls(&self, name: char) -> Vec<(u32, Nature)> {
        let process = self.processes.iter().find(|(other, ..)| *other == name);
        process
            .map(|(.., process)| process.waiting(|waiting| (waiting.no, Nature::of(&waiting.asked))))
            .unwrap_or_default()
    }

    fn asked(&self, call: Call) -> anyhow::Result<Asked> {
        let process = self.processes.iter().find(|(name, ..)| *name == call.process);
        let all = process.map(|(.., process)| process.waiting(|waiting| (waiting.no, waiting.asked.clone())));
        let found = all.unwrap_or_default().into_iter().find(|(no, _)| *no == call.no);
        found.map(|(_, asked)| asked).ok_or_else(|| {
            let steps = super::search::written(&self.steps);
            anyhow!(
                "{}{} does not wait at the end of {steps}; what waits: {}",
                call.process,
                call.no,
                self.what_waits()
            )
        })
    }

    fn execute(&mut self, asked: &Asked) -> anyhow::Result<Told> {
        match asked {
            Asked::Bank(question) => Ok(Told::Bank(Some(self.bank.answer(question)))),
            Asked::Redis(request) => {
                let replies = self.ground.ask(&call::unblocked(&request.commands))?;
                if let Some(loaded) = &mut self.loaded
                    && request.commands[0][0] == b"SCRIPT"
                {
                    *loaded ^= hash(&request.commands);
                }
                Ok(Told::Redis(Ok(replies)))
            }
        }
    }

    fn tell(&mut self, call: Call, told: Told) -> anyhow::Result<()> {
        let process = self.process(call.process)?;
        let waiting = process.take(call.no).context("a call that does not wait")?;
        process.tell(waiting, told);
        Ok(())
    }

    fn process(&mut self, name: char) -> anyhow::Result<&mut Process> {
        let process = self.processes.iter_mut().find(|(other, ..)| *other == name);
        process.map(|(.., process)| process).with_context(|| format!("there is no {name}"))
    }

    fn draw(&mut self, call: Call, asked: &Asked, told: &Told, how: &str) {
        let (ids, first) = (&self.scenario.ids, call::asks(asked, &self.scenario.ids));
        self.drawing.add(call.process, format!("{first} -> {}{how}", call::says(told, ids)));
    }

    fn note(&mut self, call: Call, asked: &Asked, what: &str) {
        self.drawing.add(call.process, format!("{} {what}", call::asks(asked, &self.scenario.ids)));
    }
}

/// The name of a worker.
pub(super) fn consumer(name: char) -> String {
    format!("worker-1-{name}")
}

/// What a caller hears whose connection broke.
fn broken(asked: &Asked) -> Told {
    match asked {
        Asked::Redis(_) => Told::Redis(Err(Failure::unknown("the connection broke"))),
        Asked::Bank(_) => Told::Bank(None),
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
