//! One compose project of our own: its name, its secrets, its settings; up, scaled, down.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;
use tokio::process::Command;
use tollgate::env;

use super::container::Container;
use super::engine::{Engine, docker, finish, project_dir};
use super::teardown::{self, Teardown};
use crate::watched_dir::WatchedDir;

/// How long compose may take for anything, a build from nothing apart.
const COMPOSE_WITHIN: Duration = Duration::from_secs(240);
const BUILD_WITHIN: Duration = Duration::from_secs(1800);
/// How long something may take that should be a matter of seconds.
pub(crate) const SOON: Duration = Duration::from_secs(60);
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Project {
    name: String,
    engine: Engine,
    root: PathBuf,
    /// The words after `compose` that choose files and settings.
    files: Vec<String>,
    environment: Vec<(String, String)>,
    port: u16,
    /// Containers first, then the processes that made them.
    teardown: Teardown,
    dir: WatchedDir,
}

/// Which services there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As `docker compose up` has it.
    Plain,
    /// With lock nodes, the bank, and containers in which producers are run.
    Chaos,
}

impl Layout {
    fn words(self, root: &Path) -> Vec<String> {
        let path = |file: &str| root.join(file).display().to_string();
        let mut words = vec!["-f".to_owned(), path("docker-compose.yml")];
        if self == Self::Chaos {
            words.extend(["-f".to_owned(), path("compose/chaos.yml")]);
            words.extend(["--env-file".to_owned(), path("compose/payouts.env")]);
        }
        words
    }
}

impl Project {
    /// Nothing is started yet. `settings` are variables of the compose files.
    pub(crate) fn new(
        engine: Engine,
        purpose: &str,
        layout: Layout,
        settings: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let root = project_dir()?;
        let name = format!("tollgate-{purpose}-{}", std::process::id());
        let dir = WatchedDir::new("tollgate-compose-", &std::env::temp_dir())?;
        let secrets = dir.path().join("secrets");
        let made = std::process::Command::new("sh")
            .arg(root.join("scripts/compose-secrets.sh"))
            .arg(&secrets)
            .output()
            .context("scripts/compose-secrets.sh")?;
        ensure!(made.status.success(), "no secrets: {}", String::from_utf8_lossy(&made.stderr));
        let port = crate::port::free()?;
        let mut environment: Vec<(String, String)> = vec![
            ("COMPOSE_PROJECT_NAME".to_owned(), name.clone()),
            ("SECRETS_DIR".to_owned(), secrets.display().to_string()),
            ("REDIS_PORT".to_owned(), port.to_string()),
        ];
        environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let teardown = Teardown::of(&name)?;
        let files = layout.words(&root);
        Ok(Self { name, engine, root, files, environment, port, teardown, dir })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What everything of it is labelled with.
    pub(crate) fn label(&self) -> String {
        teardown::label(&self.name)
    }

    /// A file that compose binds into containers.
    pub(crate) fn secret(&self, name: &str) -> PathBuf {
        self.dir.path().join("secrets").join(name)
    }

    /// Redis, as this machine reaches it.
    pub(crate) fn direct_url(&self) -> anyhow::Result<String> {
        let password = std::fs::read_to_string(self.secret("redis-password"))?;
        Ok(format!("redis://:{}@127.0.0.1:{}", password.trim_end(), self.port))
    }

    /// The network that all services share.
    pub(crate) fn network(&self) -> String {
        format!("{}_default", self.name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.engine.compose();
        // It runs in the watched directory, so that it ends with this process.
        command.arg("--project-directory").arg(&self.root).args(&self.files).args(words);
        command.current_dir(self.dir.path());
        // Of the caller's own settings only those of images count.
        for name in [
            env::TOLLGATE_NAMESPACE,
            env::TOLLGATE_PAYOUT_URL,
            env::TOLLGATE_LOCK_URLS,
            "COMPOSE_FILE",
            "COMPOSE_PROFILES",
        ] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command of compose to its end.
    pub(crate) async fn compose(&self, words: &[&str]) -> anyhow::Result<String> {
        finish(self.command(words), COMPOSE_WITHIN).await
    }

    pub(crate) async fn build(&self) -> anyhow::Result<()> {
        finish(self.command(&["build"]), BUILD_WITHIN).await.map(drop)
    }

    /// As many of one service as it says, and everything else as it is.
    pub(crate) async fn scale(&self, service: &str, count: usize) -> anyhow::Result<()> {
        let scale = format!("{service}={count}");
        let words = ["up", "-d", "--no-build", "--no-deps", "--no-recreate", "--scale", &scale, service];
        self.compose(&words).await.map(drop)
    }

    /// Starts what is not there, and as many of each as it says.
    pub(crate) async fn up(&self, scale: &[(&str, usize)]) -> anyhow::Result<()> {
        let scale: Vec<String> = scale.iter().map(|(service, count)| format!("{service}={count}")).collect();
        let mut words = vec!["up", "-d", "--no-build"];
        scale.iter().for_each(|scale| words.extend(["--scale", scale]));
        self.compose(&words).await.map(drop)
    }

    /// The containers of a service, by their number; those that ended as well.
    pub(crate) async fn containers(&self, service: &str) -> anyhow::Result<Vec<Container>> {
        let project = format!("label={}", teardown::label(&self.name));
        let of = format!("label=com.docker.compose.service={service}");
        let format = r#"{{.ID}} {{.Label "com.docker.compose.container-number"}} {{.Label "com.docker.compose.oneoff"}}"#;
        let words = ["ps", "-a", "--no-trunc", "--filter", &project, "--filter", &of, "--format", format];
        let mut found = Vec::new();
        for line in docker(words).await?.lines() {
            let mut words = line.split_whitespace();
            let (Some(id), Some(number), oneoff) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            if oneoff.is_some_and(|oneoff| oneoff.eq_ignore_ascii_case("true")) {
                continue;
            }
            let number: u32 = number.parse().unwrap_or(0);
            found.push((number, id.to_owned()));
        }
        found.sort();
        let single = found.len() == 1 && !matches!(service, "worker" | "producer");
        let container = |(number, id): (u32, String)| {
            let name = if single { service.to_owned() } else { format!("{service} {number}") };
            Container { id, name, service: service.to_owned() }
        };
        Ok(found.into_iter().map(container).collect())
    }

    /// A command of the producer in a container of its own, of this name; answers its stdout.
    pub(crate) async fn producer(&self, name: &str, words: &[&str]) -> anyhow::Result<String> {
        self.compose(&[&["run", "--rm", "-T", "--name", name, "producer"], words].concat()).await
    }

    /// What a command of the producer that only reads prints as JSON. It is run in a container that is there anyway.
    pub(crate) async fn read<T: DeserializeOwned>(&self, words: &[&str]) -> anyhow::Result<T> {
        let workers = self.containers("worker").await?;
        let last = workers.last().context("no worker")?;
        let text = docker([&["exec", &last.id, "tollgate-producer"], words, &["--json"]].concat()).await?;
        serde_json::from_str(&text)
            .with_context(|| format!("{}: not the JSON that it should be", words.join(" ")))
    }

    /// Takes it down and leaves its data.
    pub(crate) async fn down(&self) -> anyhow::Result<()> {
        self.compose(&["down", "--remove-orphans"]).await.map(drop)
    }

    /// Takes it down with its data, whatever state it is in.
    pub(crate) fn clear(&self) {
        self.teardown.remove();
    }
}

/// Waits until it answers something.
pub(crate) async fn until<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        let seen = look().await;
        if let Ok(Some(found)) = seen {
            return Ok(found);
        }
        if begun.elapsed() > SOON {
            seen.with_context(|| format!("{what}: not within {SOON:?}"))?;
            anyhow::bail!("{what}: not within {SOON:?}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
