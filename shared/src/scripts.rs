//! The typed wrappers of the Lua scripts, one module each, named as its file in `lua/`.
//!
//! A test parses each script's header and compares it with its wrapper. Only this crate calls Redis.

pub mod beat;
pub mod dead;
pub(crate) mod fence;
pub mod hand_back;
pub mod init;
pub mod integrity;
pub(crate) mod lock;
pub mod lookup;
pub mod park;
pub mod payout;
pub mod promote;
pub mod queue;
pub mod ready;
pub mod reap;
pub mod receipts_drop;
pub mod receipts_lower;
pub mod recover;
pub mod repair;
pub mod settle;
pub mod stats;
pub mod survey;
pub(crate) mod take;
pub mod trim;

use crate::failure::Failure;
use crate::ids::QueueName;
use crate::keys::Keys;
use crate::script::{Call, Reply, Script};

/// Every script.
static ALL: [&Script; 31] = [
    &beat::BEAT,
    &dead::DEAD_RETRY,
    &dead::DEAD_DISCARD,
    &fence::FENCE_MINT,
    &fence::FENCE_WRITE,
    &hand_back::HAND_BACK,
    &init::INIT_META,
    &integrity::INTEGRITY,
    &init::INIT_HEAD,
    &lock::LOCK_EXTEND,
    &lock::LOCK_LINE,
    &lock::LOCK_LOOK,
    &lock::LOCK_RELEASE,
    &lookup::LOOKUP,
    &park::PARK,
    &payout::open::PAYOUTS_DUE,
    &promote::PROMOTE,
    &queue::QUEUE,
    &queue::QUEUE_REPAIR,
    &ready::READY,
    &reap::REAP,
    &receipts_drop::RECEIPTS_DROP,
    &receipts_lower::RECEIPTS_LOWER,
    &recover::RECOVER,
    &repair::REPAIR,
    &repair::REPAIR_PARKED,
    &settle::SETTLE,
    &stats::STATS,
    &survey::SURVEY,
    &take::TAKE,
    &trim::TRIM,
];

/// The text of a script as Redis runs it, the begin of each of its files marked; `None` if there is none of this name.
pub fn text(name: &str) -> Option<&'static str> {
    ALL.iter().find(|script| script.name == name).map(|script| script.text())
}

/// Why a script did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// Redis refused the call, or its answer did not come.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The partition has no head: `init`, or what was lost has to be restored.
    #[error("the partition is not initialised; run `tollgate-producer init`")]
    Uninitialised,
    /// An operator has to look first.
    #[error("the partition is frozen: {0}")]
    Frozen(String),
    /// A key of the partition holds what it cannot hold.
    #[error("the partition is damaged: {0}; `tollgate-producer audit` names the damage")]
    CorruptPartition(String),
    /// Something of a queue that had been there is gone.
    #[error(
        "queue {queue} was lost: {problem}; `tollgate-producer repair queue {queue}` says what is left of it"
    )]
    QueueLost {
        /// Which.
        queue: QueueName,
        /// What is wrong with it.
        problem: stats::QueueProblem,
    },
    /// A queue was added meanwhile: read the list of queues and call again.
    #[error("the list of queues has changed")]
    StaleKeys,
}

impl ScriptError {
    /// The code under which this is told to a user; `None` if nobody knows whether it happened.
    pub fn code(&self) -> Option<crate::code::Code> {
        use crate::code::Code;
        match self {
            Self::Failure(failure) if failure.may_have_happened() => None,
            Self::Failure(failure) if failure.is_oom() => Some(Code::Overloaded),
            Self::Failure(_) | Self::StaleKeys => Some(Code::RedisRefused),
            Self::Uninitialised => Some(Code::Uninitialised),
            Self::Frozen(_) => Some(Code::PartitionFrozen),
            Self::CorruptPartition(_) | Self::QueueLost { .. } => Some(Code::CorruptPartition),
        }
    }
}

/// The statuses that any script may give instead of doing its work.
fn common_status(status: &str, reply: &mut Reply) -> ScriptError {
    let mut detail = || reply.text("detail").unwrap_or_default();
    match status {
        "uninitialised" => ScriptError::Uninitialised,
        "partition_frozen" => ScriptError::Frozen(detail()),
        "corrupt_partition" => ScriptError::CorruptPartition(detail()),
        "stale_keys" => ScriptError::StaleKeys,
        other => Failure::unknown(format!("a status that this release does not know: {other}")).into(),
    }
}

/// What a `queue_lost` says.
fn queue_lost(queue: &QueueName, reply: &mut Reply) -> Result<ScriptError, Failure> {
    let problem = reply.text("problem")?;
    let problem = stats::QueueProblem::from_name(&problem)
        .ok_or_else(|| Failure::unknown(format!("a problem that this release does not know: {problem}")))?;
    Ok(ScriptError::QueueLost { queue: queue.clone(), problem })
}

/// Adds streams and rows in flight of `queues` to KEYS and their names to ARGV, as scripts over all queues want them.
fn with_queues(mut call: Call, keys: &Keys, queues: &[QueueName]) -> Call {
    for queue in queues {
        call.push_key(keys.queue(queue));
        call.push_key(keys.in_flight(queue));
        call.push_arg(queue.as_str());
    }
    call
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in a header line, up to the first comma or semicolon.
    fn header(script: &Script, label: &str) -> Vec<String> {
        let prefix = format!("-- {label}");
        let line = script.main.text.lines().find_map(|line| line.strip_prefix(&prefix));
        let line = line.unwrap_or_else(|| panic!("{}: no {label} in its header", script.name));
        let names = line.split([',', ';']).next().unwrap_or_default();
        names.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn every_header_says_what_its_wrapper_sends() {
        for script in ALL {
            assert_eq!(header(script, "KEYS"), script.keys, "{}", script.name);
            assert_eq!(header(script, "ARGV"), script.args, "{}", script.name);
            for label in ["returns", "repeat"] {
                assert!(!header(script, label).is_empty(), "{}: {label}", script.name);
            }
            assert!(script.main.text.starts_with("#!lua"), "{}", script.name);
            assert!(
                script
                    .main
                    .text
                    .lines()
                    .nth(1)
                    .is_some_and(|line| line.starts_with(&format!("-- {}:", script.name)))
            );
        }
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/lua")).unwrap();
        let files =
            files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|ext| ext == "lua"));
        assert_eq!(files.count() + 1, ALL.len(), "a script without a wrapper (settle is a folder)");
    }

    /// The names that a file declares for its whole script: `local name` and `local function name` at its margin.
    fn declared(text: &str) -> Vec<&str> {
        let mut names = Vec::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("local ")) {
            let list = line.strip_prefix("function ").map(|name| name.split('(').next().unwrap_or_default());
            let list = list.unwrap_or_else(|| line.split(['=', '-']).next().unwrap_or_default());
            names.extend(list.split(',').map(str::trim).filter(|name| !name.is_empty()));
        }
        names
    }

    /// The names that a file uses, fields of tables left out.
    fn used(text: &str) -> std::collections::BTreeSet<&str> {
        let mut names = std::collections::BTreeSet::new();
        for line in text.lines() {
            let code = line.split("--").next().unwrap_or_default();
            for code in code.split('\'').step_by(2) {
                let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                for (at, word) in code.split(|c| !is_word(c)).scan(0, |at, word| {
                    let begin = *at;
                    *at += word.len() + 1;
                    Some((begin, word))
                }) {
                    if !word.is_empty() && !code[..at].ends_with(['.', ':']) {
                        names.insert(word);
                    }
                }
            }
        }
        names
    }

    /// The names that a file binds anywhere: its own, and those of parameters, loops and inner blocks.
    fn bound(text: &str) -> Vec<&str> {
        let mut names = Vec::new();
        for line in text.lines() {
            let lists = line.split("local ").skip(1).map(|list| list.split('=').next().unwrap_or_default());
            let parameters = line.split("function").skip(1).filter_map(|rest| rest.split(['(', ')']).nth(1));
            let loops = line.split("for ").skip(1).filter_map(|rest| rest.split(" in ").next());
            names.extend(
                lists.chain(parameters).chain(loops).flat_map(|list| list.split([',', ' ', '=', '('])),
            );
        }
        names
    }

    /// What a file says that it gives to others.
    fn given(text: &str) -> Vec<&str> {
        let mut lines = text.lines().skip_while(|line| !line.starts_with("-- gives "));
        let first = lines.next().and_then(|line| line.strip_prefix("-- gives "));
        let more = lines.map_while(|line| line.strip_prefix("--         "));
        first.into_iter().chain(more).flat_map(str::split_whitespace).collect()
    }

    #[test]
    fn no_file_declares_a_name_for_another_without_saying_so() {
        use std::collections::{BTreeMap, BTreeSet};
        let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for script in ALL {
            let files: Vec<_> = script.files().collect();
            let mut known: BTreeMap<&str, &str> = BTreeMap::new();
            for (n, file) in files.iter().enumerate() {
                for name in declared(file.text) {
                    // Of two with one name, the files between and behind them would mean different ones.
                    if let Some(other) = known.insert(name, file.name) {
                        let is_told = given(file.text).contains(&name);
                        assert!(!is_told, "{}: {other} and {} both declare {name}", script.name, file.name);
                    }
                }
                for later in &files[n + 1..] {
                    let (used_here, own) = (used(file.text), bound(file.text));
                    let mut early = given(later.text);
                    early.retain(|name| used_here.contains(name) && !own.contains(name));
                    assert!(
                        early.is_empty(),
                        "{}: {} uses {early:?} of {}",
                        script.name,
                        file.name,
                        later.name
                    );
                    let uses = uses.entry(file.name).or_default();
                    let (used_later, own) = (used(later.text), bound(later.text));
                    let is_used = |name: &&str| used_later.contains(name) && !own.contains(name);
                    uses.extend(declared(file.text).into_iter().filter(is_used));
                }
            }
        }
        for file in ALL.into_iter().flat_map(Script::files) {
            let told: BTreeSet<_> = given(file.text).into_iter().collect();
            assert_eq!(told, uses.remove(file.name).unwrap_or_else(|| told.clone()), "{}: gives", file.name);
        }
    }
}
