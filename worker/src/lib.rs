//! `tollgate-worker`: takes jobs from Redis and settles them, each once.
//!
//! This file only puts the parts together: `cli` says what is wanted, `process` lives, `pipeline` is the life of a
//! job, `agents` are what goes on beside it. A library so that `tollgate-chaos explore` can run whole workers call by
//! call (the feature `explore`); nothing else links it, and the program is [`main`].

mod arguments;
mod cli;
mod config;
mod process;

mod pipeline;

mod agents;

mod exit;
#[cfg(feature = "explore")]
pub mod explore;
pub mod failpoint;
mod health;
mod health_check;
mod http;
mod in_flight;
mod incidents;
mod line_limit;
mod log;
mod metrics;
mod partition_state;
mod payout;
mod retry_loop;
mod shutdown;
mod slots;
mod spare_links;
mod supervisor;
mod turns;
mod worker;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Threads of the runtime. One settles what the other reads; Redis itself is one thread, so more only contend.
const THREADS: usize = 2;

/// The program: lives until a signal; answers its exit code.
pub fn main() -> ExitCode {
    let config = match cli::Invocation::from_args() {
        Ok(cli::Invocation::HealthCheck(address)) => return health_check(address),
        Ok(cli::Invocation::Manual(dir)) => return manual(&dir),
        Ok(cli::Invocation::Work(config)) => Ok(*config),
        Err(error) => Err(error),
    };
    let (config, filter) = match config.and_then(|config| Ok((config, log::Filter::from_env()?))) {
        Ok(both) => both,
        Err(error) => {
            complain(&error);
            return ExitCode::from(exit::USAGE);
        }
    };
    log::install(config.log_format, filter);
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                complain(&format!("the threads of this process cannot be started: {error}"));
                return ExitCode::FAILURE;
            }
        };
    let code = runtime.block_on(process::run(config));
    // What is still going on was given up (second signal, drain timeout); its entries stay in flight, for others.
    runtime.shutdown_timeout(Duration::from_millis(100));
    log::flush();
    code
}

fn manual(dir: &Path) -> ExitCode {
    match cli::write_manual(dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("--man {}: {error}", dir.display()));
            ExitCode::FAILURE
        }
    }
}

/// For what is wrong before there is a log.
fn complain(error: &str) {
    // Where stderr is closed, the exit code is all there is.
    let _ = writeln!(std::io::stderr(), "error: {error}");
}

/// What a container's engine asks: exit 0 or 1, the reason on stderr.
fn health_check(address: std::net::SocketAddr) -> ExitCode {
    match health_check::ask(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}
