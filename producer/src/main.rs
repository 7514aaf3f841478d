//! `tollgate-producer`: the Tollgate command line.
//!
//! One call is: read the command line ([`cli`]), run one command ([`commands`]), say how it went ([`exit`]).
//! Data goes to stdout, talk to stderr ([`output`]). Must not speak Redis itself: that is `tollgate`'s.

mod arguments;
mod cli;
mod commands;
mod context;
mod exit;
mod interrupt;
mod lines;
mod load;
mod operation;
mod output;
mod overview;
mod progress;
mod run;
mod sender;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::context::Context;

fn main() -> ExitCode {
    // A wrong command line ends here, with clap's words and exit code 2.
    let Cli { global, command } = Cli::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(commands::run(&Context::new(global), command)));
    outcome.unwrap_or_else(|error| exit::report(&error)).into()
}
