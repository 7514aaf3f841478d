//! `tollgate-chaos compose`: the fleet of docker-compose.yml, in containers.
//!
//! Exit code 0: PASS; 5: FAIL; 4: nothing was shown, because there is no engine or the run could not be set up.

pub(crate) mod container;
pub(crate) mod engine;
pub(crate) mod project;
mod promises;
mod run;
mod teardown;

use std::process::ExitCode;

use clap::Subcommand;

use crate::stage::{complain, interrupted};
use engine::Engine;
use project::{Layout, Project};

const EXIT_FAIL: u8 = 5;
const EXIT_INVALID: u8 = 4;

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

/// What every command here takes.
#[derive(Debug, Clone, clap::Args)]
struct Common {
    /// The command of compose [default: `docker compose`, else docker-compose]
    #[arg(long = "compose", value_name = "COMMAND", env = tollgate::env::TOLLGATE_COMPOSE)]
    command: Option<String>,
    /// Build the images first
    #[arg(long)]
    build: bool,
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

/// Finds an engine, says which, and builds the images if that was asked for.
async fn set_up(
    common: &Common,
    purpose: &str,
    layout: Layout,
    settings: &[(&str, String)],
) -> Result<(Project, String), ExitCode> {
    let failed = |error: &dyn std::fmt::Display| {
        complain(format_args!("INVALID: {error}"));
        ExitCode::from(EXIT_INVALID)
    };
    let engine = Engine::find(common.command.as_deref()).await.map_err(|missing| failed(&missing))?;
    let said = format!("engine {}, compose {}", engine.version, engine.compose_version);
    let project =
        Project::new(engine, purpose, layout, settings).map_err(|error| failed(&format!("{error:#}")))?;
    complain(format_args!("Tollgate in containers: {said}, project {}\n", project.name()));
    if common.build {
        let built = tokio::select! {
            built = project.build() => built,
            () = interrupted() => Err(anyhow::anyhow!("interrupted")),
        };
        built.map_err(|error| failed(&format!("the images cannot be built: {error:#}")))?;
    }
    Ok((project, said))
}
