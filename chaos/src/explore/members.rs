//! What every process of a fleet waits for after everything that it was told: found out once, and known from then on.
//!
//! A process depends on nothing but its seed and what it was told, in order. So two with one history are one, and only
//! a history that is new needs a living process: the one that got to the step before, if it is still kept, or a new
//! one that is told the same again.

use std::collections::{HashMap, VecDeque};

use anyhow::{Context, ensure};
use tollgate::Tollgate;
use tollgate_worker::explore as worker;

use super::call::Nature;
use super::numbered::Numbered;
use super::process::{Asked, Process, Told};
use super::scenario::{Diary, Role, Scenario, Word};

/// Processes that are kept alive.
const ALIVE_MAX: usize = 1_024;

/// One process after what it was told.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: char,
    /// Its place in the fleet.
    place: usize,
    /// A hash of all that it was told.
    pub(super) history: u64,
    /// Its calls that wait: the number in the process, what is asked, and its nature.
    pub(super) waiting: Vec<(u32, u32, Nature)>,
    /// What it was told that people believe.
    pub(super) words: Vec<Word>,
    /// How it came here: from whom, by which call, told what.
    from: Option<(u32, u32, u32)>,
}

pub(super) struct Members<'a> {
    scenario: &'a Scenario,
    tollgate: &'a Tollgate,
    all: Numbered<Member>,
    begun: HashMap<char, u32>,
    next: HashMap<(u32, u32, u32), u32>,
    alive: HashMap<u32, (Process, Diary)>,
    /// The oldest first; some have gone on meanwhile.
    ages: VecDeque<u32>,
    /// Living processes that were told something.
    pub(super) told: u64,
}

impl<'a> Members<'a> {
    pub(super) fn new(scenario: &'a Scenario, tollgate: &'a Tollgate) -> Self {
        Self {
            scenario,
            tollgate,
            all: Numbered::default(),
            begun: HashMap::new(),
            next: HashMap::new(),
            alive: HashMap::new(),
            ages: VecDeque::new(),
            told: 0,
        }
    }

    pub(super) fn get(&self, number: u32) -> &Member {
        self.all.get(number)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Ends all that live: who lives from now on has lived from the beginning of this order.
    pub(super) fn end_all(&mut self) {
        self.alive.clear();
        self.ages.clear();
    }

    /// Starts one in a place of the fleet; `is_real` without what is known.
    pub(super) fn start(
        &mut self,
        name: char,
        place: usize,
        asked: &mut Numbered<Asked>,
        is_real: bool,
    ) -> anyhow::Result<u32> {
        if !is_real && let Some(known) = self.begun.get(&name) {
            return Ok(*known);
        }
        let living = self.live(name, place)?;
        let number = self.note((name, place), living, None, asked)?;
        self.begun.insert(name, number);
        Ok(number)
    }

    /// What becomes of one that is told something.
    pub(super) fn tell(
        &mut self,
        member: u32,
        call: u32,
        told: u32,
        (asked, tolds): (&mut Numbered<Asked>, &Numbered<Told>),
        is_real: bool,
    ) -> anyhow::Result<u32> {
        let from = (member, call, told);
        if !is_real && let Some(next) = self.next.get(&from) {
            return Ok(*next);
        }
        let mut living = match self.alive.remove(&member) {
            Some(living) => living,
            None => {
                ensure!(
                    !is_real,
                    "an order that is made for real has a process that did not live through it"
                );
                self.again(member, tolds)?
            }
        };
        self.tell_living(&mut living.0, call, tolds.get(told))?;
        let before = self.all.get(member);
        let next = self.note((before.name, before.place), living, Some(from), asked)?;
        self.next.insert(from, next);
        Ok(next)
    }

    /// A living process that was told all that this one was.
    fn again(&mut self, member: u32, tolds: &Numbered<Told>) -> anyhow::Result<(Process, Diary)> {
        let mut way = Vec::new();
        let mut at = member;
        let mut living = loop {
            if let Some(living) = self.alive.remove(&at) {
                break living;
            }
            let known = self.all.get(at);
            let Some(from) = known.from else { break self.live(known.name, known.place)? };
            way.push(from);
            at = from.0;
        };
        for (_, call, told) in way.into_iter().rev() {
            self.tell_living(&mut living.0, call, tolds.get(told))?;
        }
        Ok(living)
    }

    fn tell_living(&mut self, process: &mut Process, call: u32, told: &Told) -> anyhow::Result<()> {
        self.told += 1;
        let waiting = process
            .take(call)
            .context("a call that does not wait: a process that is told the same does otherwise")?;
        process.tell(waiting, told.clone());
        Ok(())
    }

    fn live(&self, name: char, place: usize) -> anyhow::Result<(Process, Diary)> {
        let diary = Diary::default();
        let process = Process::start(u64::from(u32::from(name)), |gate, bank| {
            let tollgate = self.tollgate.through(self.tollgate.server().gated(gate));
            match &self.scenario.fleet[place].1 {
                Role::Worker => Box::pin(worker::live(worker::Member {
                    consumer: consumer(name),
                    tollgate,
                    batch_max: self.scenario.batch,
                    bank: self.scenario.pays.then_some(bank),
                })),
                Role::Script(life) => life(tollgate, diary.clone()),
            }
        })?;
        Ok((process, diary))
    }

    /// Numbers a living process, and keeps it for what it may be told next.
    fn note(
        &mut self,
        (name, place): (char, usize),
        (process, diary): (Process, Diary),
        from: Option<(u32, u32, u32)>,
        asked: &mut Numbered<Asked>,
    ) -> anyhow::Result<u32> {
        let waiting: Vec<(u32, u32, Nature)> = process
            .waiting(|waiting| (waiting.no, asked.number(waiting.asked.clone()), Nature::of(&waiting.asked)));
        let words = diary.words();
        let number = match self.all.find(process.history) {
            Some(known) => {
                let before = self.all.get(known);
                ensure!(
                    before.waiting == waiting && before.words == words,
                    "{name} was told the same twice and does not do the same"
                );
                known
            }
            None => self
                .all
                .add(process.history, Member { name, place, history: process.history, waiting, words, from }),
        };
        self.ages.push_back(number);
        self.alive.insert(number, (process, diary));
        while self.alive.len() > ALIVE_MAX
            && let Some(oldest) = self.ages.pop_front()
        {
            self.alive.remove(&oldest);
        }
        Ok(number)
    }
}

/// The name of a worker.
pub(super) fn consumer(name: char) -> String {
    format!("worker-1-{name}")
}
