//! The typed wrappers of the Lua scripts, one module each, named as its file in `lua/`.
//!
//! A test parses each script's header and compares it with its wrapper. Only this crate calls Redis.

pub mod beat;
pub mod dead;
mod error;
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
mod queue_problem;
pub mod ready;
pub mod reap;
pub mod receipts_drop;
pub mod receipts_lower;
pub mod recover;
pub mod repair;
pub mod reservation;
pub(crate) mod script;
pub mod settle;
pub mod stats;
pub mod stock_load;
pub mod survey;
pub(crate) mod take;
pub mod trim;

pub use error::ScriptError;
use script::Script;

/// Every script.
static ALL: [&Script; 32] = [
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
    &stock_load::STOCK_LOAD,
    &survey::SURVEY,
    &take::TAKE,
    &trim::TRIM,
];

/// The text of a script as Redis runs it, the begin of each of its files marked; `None` if there is none of this name.
pub fn text(name: &str) -> Option<&'static str> {
    ALL.iter().find(|script| script.name == name).map(|script| script.text())
}

#[cfg(test)]
mod tests;
