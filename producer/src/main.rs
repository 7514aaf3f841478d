//! `tollgate-producer`: the Tollgate command line.
//!
//! One call is: read the command line ([`cli`]), run one command ([`commands`]), say how it went ([`report`]).
//! Data goes to stdout, talk to stderr ([`output`]). Must not speak Redis itself: that is `tollgate`'s.

mod arguments;
mod cli;
mod commands;
mod context;
mod decision;
mod each;
mod exit;
mod expired;
mod interrupt;
mod line_text;
mod lines;
mod load;
mod missing;
mod now;
mod operation;
mod original;
mod output;
mod overview;
mod pages;
mod past;
mod problems;
mod progress;
mod repeat;
mod report;
mod resource_view;
mod run;
mod sender;
mod served;
mod table;
mod waiting;
mod workers;

use std::process::ExitCode;

use crate::commands::Cli;
use crate::context::Context;
use crate::exit::Exit;

fn main() -> ExitCode {
    // A wrong command line ends here, with exit code 2.
    let Cli { global, command } = tollgate_cli::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(commands::run(&Context::new(global), command)));
    outcome.unwrap_or_else(|error| failed(&error)).into()
}

/// Says why a command failed. A command that makes an id for its change says by itself how it is repeated; every
/// other one is its own repetition: it reads, sets what it names, or carries the id of a job.
fn failed(error: &anyhow::Error) -> Exit {
    let exit = report::report(error);
    if exit == Exit::Undecided {
        output::hint("the same command again is safe: what is done already has no second effect");
    }
    exit
}
