//! How many files this process may have open: connections are files too.
//!
//! Asked before anything else, since what comes later (a runtime, a signal's pipe) has no way to say it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Below this a program cannot even wait for a signal and speak to one server at once.
const LEAST: u64 = 32;
/// What is asked for where the system allows more than it gives.
const WANTED: u64 = 4096;

/// Raises the limit of open files as far as is allowed and useful.
pub(crate) fn raise_the_limit() -> Result<(), String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    let mut may_open = current.unwrap_or(u64::MAX);
    if may_open < wanted && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok() {
        may_open = wanted;
    }
    if may_open >= LEAST {
        return Ok(());
    }
    Err(format!(
        "this process may open only {may_open} files, and needs {LEAST} at least: raise the limit (`ulimit -n`, LimitNOFILE=)"
    ))
}
