//! What every command here begins with: an engine, a project, and its images.

use std::process::ExitCode;

use super::engine::Engine;
use super::project::{Layout, Project};
use crate::stage::{complain, interrupted};

/// Nothing was shown.
pub(super) const EXIT_INVALID: u8 = 4;

/// What every command here takes.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Common {
    /// The command of compose [default: `docker compose`, else docker-compose]
    #[arg(long = "compose", value_name = "COMMAND", env = tollgate::env::TOLLGATE_COMPOSE)]
    command: Option<String>,
    /// Build the images first
    #[arg(long)]
    build: bool,
}

/// Finds an engine, says which, and builds the images if that was asked for.
pub(super) async fn set_up(
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
