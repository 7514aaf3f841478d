//! The container engine and the compose command, as programs: found, asked with a bound on every answer.
//!
//! Relies on the command lines of `docker` and of compose v1 and v2, which are the same as far as they are used here.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// How long one command of the engine may take, a stop with its grace period included.
pub(crate) const DOCKER_WITHIN: Duration = Duration::from_secs(90);
/// How long the engine may take to say that it is there.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);

/// Why nothing can be run in containers here, and how to change that.
#[derive(Debug)]
pub(crate) struct Missing(String);

const HOW_TO_GET_ONE: &str = "hint: on Debian, as root: `apt-get install docker.io docker-compose iptables`, and where no service starts by \
     itself, `dockerd` in another terminal; elsewhere: Docker Engine or Docker Desktop with compose";

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no containers can be run here: {}\n{HOW_TO_GET_ONE}", self.0)
    }
}

/// An engine that answers, and compose beside it.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) version: String,
    /// The words that begin every command of compose.
    compose: Vec<String>,
    pub(crate) compose_version: String,
}

impl Engine {
    /// Asks who is there. `compose` names the command; else `docker compose` is taken, or docker-compose.
    pub(crate) async fn find(compose: Option<&str>) -> Result<Self, Missing> {
        let server = ["version", "--format", "{{.Server.Version}}"];
        let version = ask("docker", server).await.map_err(|error| Missing(format!("{error:#}")))?;
        let given = compose.map(|words| words.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let tried = given.map_or_else(
            || vec![vec!["docker".to_owned(), "compose".to_owned()], vec!["docker-compose".to_owned()]],
            |given| vec![given],
        );
        for compose in tried {
            let Some((program, words)) = compose.split_first() else { continue };
            if let Ok(said) =
                ask(program, words.iter().map(String::as_str).chain(["version", "--short"])).await
            {
                return Ok(Self {
                    version,
                    compose,
                    compose_version: said.trim_start_matches('v').to_owned(),
                });
            }
        }
        Err(Missing("the engine answers, but neither `docker compose` nor docker-compose does".to_owned()))
    }

    /// A command of compose, without its words.
    pub(crate) fn compose(&self) -> Command {
        let mut command = Command::new(&self.compose[0]);
        command.args(&self.compose[1..]);
        command
    }
}

async fn ask(program: &str, words: impl IntoIterator<Item = &str>) -> anyhow::Result<String> {
    let mut command = Command::new(program);
    command.args(words);
    finish(command, ANSWERS_WITHIN).await.map(|text| text.trim().to_owned())
}

/// Runs `docker` with these words to its end; answers its stdout.
pub(crate) async fn docker<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> anyhow::Result<String> {
    let mut command = Command::new("docker");
    command.args(words);
    finish(command, DOCKER_WITHIN).await.map(|text| text.trim().to_owned())
}

/// Runs a command to its end, in a group of its own: Ctrl-C in the terminal is for this process. It is killed if it
/// takes longer. Answers its stdout; if it failed, the end of what it said is the error.
pub(crate) async fn finish(mut command: Command, within: Duration) -> anyhow::Result<String> {
    let words: Vec<String> = std::iter::once(command.as_std().get_program())
        .chain(command.as_std().get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let shown = || words.join(" ").chars().take(160).collect::<String>();
    command.kill_on_drop(true).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = tokio::time::timeout(within, command.output()).await;
    let output = ended.with_context(|| format!("{}: not within {within:?}", shown()))?;
    let output = output.with_context(shown)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last =
        said.lines().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
    ensure!(output.status.success(), "{}: {}\n{last}", shown(), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The directory of docker-compose.yml.
pub(crate) fn project_dir() -> anyhow::Result<PathBuf> {
    let dir = std::env::current_dir()?;
    ensure!(
        dir.join("docker-compose.yml").is_file(),
        "there is no docker-compose.yml in {}\nhint: run this in the root of the repository",
        dir.display()
    );
    Ok(dir)
}
