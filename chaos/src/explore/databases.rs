//! What Redis answers in each state that it has come to, and the state that follows: asked once, and known from then on.
//!
//! A reply and the next state depend on nothing but what the database holds, the time, the commands, and which scripts
//! are loaded: Lua keeps nothing between calls. A call whose script was forgotten goes to a server that knows none.
//! One order in a hundred is made for real, from its beginning, without what is known, and must come to the same.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use anyhow::{Context, bail, ensure};
use redis::Value;
use tollgate::gate::Request;
use tollgate::keys::Keys;

use super::call;
use super::clock::BEGIN_US;
use super::ground::{Content, Ground, Key, Look};
use super::numbered::Numbered;
use super::process::Told;
use super::script;

/// A database in one state, at one time.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) content: Rc<Content>,
    pub(super) look: Look,
}

/// Of the scripts that were ever loaded, those that are since Redis forgot all; `None` before.
pub(super) type Loaded = Option<u64>;

pub(super) struct Databases {
    /// It knows every script.
    pub(super) knowing: Ground,
    /// It knows none.
    forgetting: Ground,
    /// The one on which orders are made for real.
    pub(super) real: Ground,
    all: Numbered<Database>,
    answers: HashMap<(u32, u32, bool), (u32, u32)>,
    ticks: HashMap<(u32, i64), u32>,
    dumps: HashSet<Rc<[u8]>>,
    /// The scripts by their names on the server, and their place in [`Loaded`].
    scripts: HashMap<Vec<u8>, u32>,
    /// Takes every script for loaded, to see that orders made for real notice.
    pub(super) forgets_scripts: bool,
    /// Whether a script was loaded that no order had before: this order is not what it will be the next time.
    pub(super) has_learned: bool,
    /// Questions that a server was really asked.
    pub(super) asked: u64,
}

/// Numbers of what was asked and told.
pub(super) type Tolds = Numbered<Told>;

impl Databases {
    pub(super) fn start() -> anyhow::Result<Self> {
        Ok(Self {
            knowing: Ground::start(false)?,
            forgetting: Ground::start(false)?,
            real: Ground::start(true)?,
            all: Numbered::default(),
            answers: HashMap::new(),
            ticks: HashMap::new(),
            dumps: HashSet::new(),
            scripts: HashMap::new(),
            forgets_scripts: false,
            has_learned: false,
            asked: 0,
        })
    }

    /// Everybody looks at these keys; the state that the first server is in, and the second one like it.
    pub(super) fn begin(&mut self, keys: &Keys) -> anyhow::Result<u32> {
        self.forget();
        for ground in [&mut self.knowing, &mut self.forgetting, &mut self.real] {
            ground.watch(keys);
        }
        let (_, content, look) = self.knowing.ask_here(&[], BEGIN_US)?;
        Ok(self.number(&content, look))
    }

    /// Puts the server on which orders are made for real to where all begin.
    pub(super) fn begin_really(&mut self, start: u32) -> anyhow::Result<()> {
        self.real.learn_from(&self.knowing);
        self.real.put(&self.all.get(start).content)
    }

    /// The real server is killed and started again; what it holds then.
    pub(super) fn restart(&mut self) -> anyhow::Result<u32> {
        let (content, look) = self.real.restart()?;
        Ok(self.number(&content, look))
    }

    /// Asks everything again, since a server knows a script more.
    pub(super) fn unlearn(&mut self) {
        self.answers.clear();
        self.has_learned = false;
    }

    /// Forgets every state and every answer: another fleet, or a script more.
    pub(super) fn forget(&mut self) {
        self.all = Numbered::default();
        self.answers.clear();
        self.ticks.clear();
        self.dumps.clear();
        self.has_learned = false;
    }

    pub(super) fn get(&self, number: u32) -> &Database {
        self.all.get(number)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn number(&mut self, content: &Content, look: Look) -> u32 {
        let hash = super::numbered::hash(content);
        if let Some(known) = self.all.find(hash) {
            return known;
        }
        let mut kept = content.clone();
        for (_, dump) in &mut kept.keys {
            match self.dumps.get(dump) {
                Some(known) => dump.clone_from(known),
                None => _ = self.dumps.insert(dump.clone()),
            }
        }
        self.all.add(hash, Database { content: Rc::new(kept), look })
    }

    /// What is answered to a request, and what the database is then.
    pub(super) fn answer(
        &mut self,
        database: u32,
        (number, request): (u32, &Request),
        loaded: &mut Loaded,
        tolds: &mut Tolds,
        is_real: bool,
    ) -> anyhow::Result<(u32, u32)> {
        let knows = self.forgets_scripts || self.knows(request, *loaded)?;
        let known = self.answers.get(&(database, number, knows)).copied();
        let answered = match known {
            Some(known) if !is_real => known,
            _ => {
                let answered = self.ask(database, request, knows, tolds, is_real)?;
                if let Some(known) = known.filter(|known| *known != answered && !self.has_learned) {
                    let script = request.script.unwrap_or("no script");
                    bail!(
                        "the same call in the same state is answered otherwise: {script}: {:?} before, {:?} now; the \
                         databases differ in {}",
                        tolds.get(known.1),
                        tolds.get(answered.1),
                        self.difference(known.0, answered.0)
                    );
                }
                self.answers.insert((database, number, knows), answered);
                answered
            }
        };
        if let Told::Redis(Ok(replies)) = &**tolds.get(answered.1) {
            self.load(request, replies, loaded)?;
        }
        Ok(answered)
    }

    fn ask(
        &mut self,
        database: u32,
        request: &Request,
        knows: bool,
        tolds: &mut Tolds,
        is_real: bool,
    ) -> anyhow::Result<(u32, u32)> {
        self.asked += 1;
        let commands = call::unblocked(&request.commands);
        self.has_learned |= self.knowing.learns(&commands);
        let content = &self.all.get(database).content;
        let (replies, content, look) = match (is_real, knows) {
            (true, _) => {
                ensure!(
                    self.real.holds(content),
                    "an order that is made for real holds what is known of another"
                );
                self.real.ask_here(&commands, content.now_us)?
            }
            (false, true) => self.knowing.ask_at(content, &commands)?,
            (false, false) => self.forgetting.ask_at(content, &commands)?,
        };
        let told = Told::Redis(Ok(replies));
        let told = tolds.add(super::numbered::hash(&format!("{told:?}")), told);
        Ok((self.number(&content, look), told))
    }

    /// The keys that two databases do not have in common, with their content.
    fn difference(&self, one: u32, other: u32) -> String {
        let [one, other] = [one, other].map(|database| &self.all.get(database).content.keys);
        let only = |these: &[Key], those: &[Key]| {
            let keys = these.iter().filter(|key| !those.contains(key));
            keys.map(|(name, dump)| format!("{} {}", name.escape_ascii(), dump.escape_ascii()))
                .collect::<Vec<_>>()
                .join(", ")
        };
        format!("[{}] before, [{}] now", only(one, other), only(other, one))
    }

    /// Whether the scripts are loaded that a request calls by their hashes; what it brings itself is.
    fn knows(&self, request: &Request, loaded: Loaded) -> anyhow::Result<bool> {
        let Some(loaded) = loaded else { return Ok(true) };
        let brought: Vec<Vec<u8>> =
            request.commands.iter().filter_map(script::text).map(|text| script::hash_of(text)).collect();
        let is_loaded = |sha| self.scripts.get(sha).is_some_and(|at| loaded >> at & 1 == 1);
        let called = request.commands.iter().filter_map(script::hash);
        let all: Vec<bool> = called.map(|sha| brought.contains(sha) || is_loaded(sha)).collect();
        let knows = all.iter().all(|knows| *knows);
        if !knows && all.contains(&true) {
            bail!("one request with a script that is loaded and one that is not");
        }
        Ok(knows)
    }

    /// Notes what a request has loaded.
    fn load(&mut self, request: &Request, replies: &[Value], loaded: &mut Loaded) -> anyhow::Result<()> {
        for (command, reply) in request.commands.iter().zip(replies) {
            let Some(text) = script::text(command) else { continue };
            if matches!(reply, Value::ServerError(_)) {
                continue;
            }
            let next = self.scripts.len() as u32;
            let at = *self.scripts.entry(script::hash_of(text)).or_insert(next);
            let bit = 1_u64.checked_shl(at).context("more than 64 scripts")?;
            if let Some(loaded) = loaded {
                *loaded |= bit;
            }
        }
        Ok(())
    }

    /// The same database, some time later.
    pub(super) fn later(&mut self, database: u32, ms: i64, is_real: bool) -> anyhow::Result<u32> {
        if !is_real && let Some(later) = self.ticks.get(&(database, ms)) {
            return Ok(*later);
        }
        let mut content = Content::clone(&self.all.get(database).content);
        content.now_us += ms * 1_000;
        let (_, content, look) = match is_real {
            true => self.real.ask_here(&[], content.now_us)?,
            false => self.knowing.ask_at(&Rc::new(content), &[])?,
        };
        let later = self.number(&content, look);
        self.ticks.insert((database, ms), later);
        Ok(later)
    }
}
