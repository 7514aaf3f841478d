//! `tollgate-chaos compose`: the fleet of docker-compose.yml, in containers.
//!
//! Exit code 0: PASS; 5: FAIL; 4: nothing was shown, because there is no engine or the run could not be set up.

pub(crate) mod container;
pub(crate) mod engine;
pub(crate) mod project;
mod promises;
mod run;
mod set_up;
mod teardown;

use std::process::ExitCode;

use clap::Subcommand;

use crate::stage::{complain, interrupted};
use project::Layout;
use set_up::{Common, set_up};

const EXIT_FAIL: u8 = 5;

/// What is done in containers.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Try what docker-compose.yml promises: drains, restarts, scaling, data that stays
    Promises(Common),
    /// Break containers at random from a seed, heal, drain, and judge
    Run(run::Args),
}

/// Runs one of them.
pub(crate) async fn run(args: Args) -> ExitCode {
    match args.command {
        Command::Promises(common) => promises(&common).await,
        Command::Run(args) => run::run(&args).await,
    }
}

async fn promises(common: &Common) -> ExitCode {
    let project =
        match set_up(common, "promises", Layout::Plain, &[("WORKER_FLAGS", "--claim-idle 1s".to_owned())])
            .await
        {
            Ok((project, _)) => project,
            Err(code) => return code,
        };
    let kept = tokio::select! {
        kept = promises::try_all(&project) => Some(kept),
        () = interrupted() => None,
    };
    project.clear();
    match kept {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::from(EXIT_FAIL),
        None => {
            complain("\ninterrupted; nothing is left running");
            ExitCode::FAILURE
        }
    }
}
