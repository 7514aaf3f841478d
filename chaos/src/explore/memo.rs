//! The parts of a fleet, each known in every state that it has come to: Redis, the processes, the bank.
//!
//! So an order costs a look-up for each step, and only what is new is really asked. Everything goes through here, for
//! real or not: made for real (`is_real`), nothing that is known is used, and what comes of it is compared with it.

use std::collections::HashMap;

use anyhow::ensure;
use tollgate::Tollgate;
use tollgate::failure::Failure;

use super::bank::Bank;
use super::call::Nature;
use super::databases::{Databases, Loaded};
use super::members::Members;
use super::numbered::{Numbered, hash};
use super::process::{Asked, Told};
use super::scenario::Scenario;
use super::script;
use super::state::State;

pub(super) struct Memo<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) databases: &'a mut Databases,
    pub(super) members: Members<'a>,
    asked: Numbered<Asked>,
    tolds: Numbered<Told>,
    banks: Numbered<Bank>,
    /// Where every order begins.
    start: u32,
    /// Processes as they wait for their first job.
    ready: HashMap<char, u32>,
    /// Told to whose connection broke.
    broken_redis: u32,
    broken_bank: u32,
    pub(super) is_real: bool,
}

impl<'a> Memo<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        tollgate: &'a Tollgate,
        databases: &'a mut Databases,
        start: u32,
    ) -> Self {
        let mut tolds = Numbered::default();
        let mut told = |told: Told| tolds.add(hash(&format!("{told:?}")), told);
        let broken_redis = told(Told::Redis(Err(Failure::unknown("the connection broke"))));
        let broken_bank = told(Told::Bank(None));
        Self {
            scenario,
            databases,
            members: Members::new(scenario, tollgate),
            asked: Numbered::default(),
            tolds,
            banks: Numbered::default(),
            start,
            ready: HashMap::new(),
            broken_redis,
            broken_bank,
            is_real: false,
        }
    }

    /// The database and the bank at the beginning of an order.
    pub(super) fn begin(&mut self) -> anyhow::Result<(u32, u32)> {
        if self.is_real {
            self.members.end_all();
            self.databases.begin_really(self.start)?;
        }
        Ok((self.start, self.banks.number(Bank::default())))
    }

    pub(super) fn asked(&self, number: u32) -> &Asked {
        self.asked.get(number)
    }

    /// Whether it calls a script by its hash.
    pub(super) fn is_of_script(&self, asked: u32) -> bool {
        let Asked::Redis(request) = self.asked(asked) else { return false };
        request.commands.iter().any(|command| script::hash(command).is_some())
    }

    /// Whether that process was told nothing yet since it got to where it waits for jobs.
    pub(super) fn has_not_begun(&self, name: char, member: u32) -> bool {
        self.ready.get(&name) == Some(&member)
    }

    /// It has got to where it waits for jobs.
    pub(super) fn is_ready(&mut self, name: char, member: u32) {
        self.ready.insert(name, member);
    }

    pub(super) fn told(&self, number: u32) -> &Told {
        self.tolds.get(number)
    }

    pub(super) fn bank(&self, number: u32) -> &Bank {
        self.banks.get(number)
    }

    pub(super) fn start(&mut self, name: char, place: usize) -> anyhow::Result<u32> {
        self.members.start(name, place, &mut self.asked, self.is_real)
    }

    /// Lets a call run: what it was told, and the database and the bank from then on.
    pub(super) fn run(
        &mut self,
        asked: u32,
        database: &mut u32,
        bank: &mut u32,
        loaded: &mut Loaded,
    ) -> anyhow::Result<u32> {
        match &**self.asked.get(asked) {
            Asked::Bank(question) => {
                let mut after = Bank::clone(self.banks.get(*bank));
                let told = Told::Bank(Some(after.answer(question)));
                *bank = self.banks.number(after);
                Ok(self.tolds.add(hash(&format!("{told:?}")), told))
            }
            Asked::Redis(request) => {
                let (after, told) = self.databases.answer(
                    *database,
                    (asked, request),
                    loaded,
                    &mut self.tolds,
                    self.is_real,
                )?;
                *database = after;
                Ok(told)
            }
        }
    }

    /// What a caller hears whose connection broke.
    pub(super) fn broken(&self, asked: u32) -> u32 {
        match self.asked(asked) {
            Asked::Redis(_) => self.broken_redis,
            Asked::Bank(_) => self.broken_bank,
        }
    }

    pub(super) fn tell(&mut self, member: u32, call: u32, told: u32) -> anyhow::Result<u32> {
        self.members.tell(member, call, told, (&mut self.asked, &self.tolds), self.is_real)
    }

    pub(super) fn later(&mut self, database: u32, ms: i64) -> anyhow::Result<u32> {
        self.databases.later(database, ms, self.is_real)
    }

    /// Redis forgets its scripts.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        if self.is_real { self.databases.real.flush_scripts() } else { Ok(()) }
    }

    /// Redis is killed and started again.
    pub(super) fn restart(&mut self) -> anyhow::Result<u32> {
        ensure!(self.is_real, "a restart is made for real");
        self.databases.restart()
    }

    /// The call of a process that has this number.
    pub(super) fn waiting(&self, member: u32, call: u32) -> Option<(u32, Nature)> {
        let waiting = self.members.get(member).waiting.iter().find(|(no, ..)| *no == call);
        waiting.map(|(_, asked, nature)| (*asked, *nature))
    }

    /// A hash of every reply that every process had, and of what Redis holds.
    pub(super) fn trace(&self, state: &State) -> u64 {
        let (database, members) = state.parts();
        let histories: Vec<_> = members
            .map(|(name, member)| (name, member.map(|member| self.members.get(member).history)))
            .collect();
        hash(&(&*self.databases.get(database).content, histories))
    }

    /// How much was found out, for real, so that the rest could be looked up.
    pub(super) fn sizes(&self) -> (usize, usize, u64, u64) {
        (self.databases.len(), self.members.len(), self.databases.asked, self.members.told)
    }
}
