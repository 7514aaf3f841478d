//! Producers in containers: those who wait for answers run their commands in containers that are there, each burst is
//! a container of its own, and the sender that is killed is a container that is killed.

use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::ensure;
use tokio::process::Command;
use tollgate::env;

use crate::compose::engine::docker;
use crate::compose::project::Project;
use crate::run::client::Elsewhere;

pub(super) struct Crew {
    /// The containers of the service `producer`, taken by turns.
    containers: Vec<String>,
    next: AtomicUsize,
    /// The words after `docker run` or `docker create`, up to the program.
    burst: Vec<String>,
    /// Begins the name of every burst.
    project: String,
    bursts: AtomicUsize,
}

impl Crew {
    /// `files` is the directory that containers see as their own.
    pub(super) async fn of(project: &Project, files: &Path) -> anyhow::Result<Self> {
        let containers = project.containers("producer").await?;
        ensure!(!containers.is_empty(), "no containers of the service producer");
        let said = containers[0].inspect().await?;
        let image = said["Config"]["Image"].as_str().unwrap_or_default().to_owned();
        let secret = project.secret("redis-password").display().to_string();
        let mut burst = vec!["--network".to_owned(), project.network(), "--read-only".to_owned()];
        // As the service has it in the compose file.
        for word in
            ["--cap-drop=ALL", "--security-opt=no-new-privileges:true", "--memory=256m", "--pids-limit=64"]
        {
            burst.push(word.to_owned());
        }
        burst.push("--no-healthcheck".to_owned());
        burst.push(format!("--label={}", project.label()));
        burst.push("--label=com.docker.compose.service=burst".to_owned());
        burst.push(format!("--volume={secret}:/run/secrets/redis_password:ro"));
        burst.push(format!("--volume={}:/data:ro", files.display()));
        burst.push(format!("--env={}=redis://redis:6379", env::REDIS_URL));
        burst.push(format!("--env={}=/run/secrets/redis_password", env::REDIS_PASSWORD_FILE));
        burst.extend([image, "tollgate-producer".to_owned()]);
        Ok(Self {
            containers: containers.into_iter().map(|container| container.id).collect(),
            next: AtomicUsize::new(0),
            burst,
            project: project.name().to_owned(),
            bursts: AtomicUsize::new(0),
        })
    }

    /// Redis, as containers reach it.
    pub(super) fn way(&self) -> String {
        "redis://redis:6379".to_owned()
    }
}

impl Elsewhere for Crew {
    fn producer(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        if words.first() == Some(&"enqueue") {
            command.args(["run", "--rm", "--interactive"]).args(&self.burst).args(words);
            return command;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.containers.len();
        command.args(["exec", "--interactive", &self.containers[turn], "tollgate-producer"]).args(words);
        command
    }

    fn interrupted<'a>(
        &'a self,
        words: &'a [&'a str],
        after: Duration,
    ) -> Pin<Box<dyn Future<Output = anyhow::Result<bool>> + Send + 'a>> {
        Box::pin(async move {
            let name = format!("{}-burst-{}", self.project, self.bursts.fetch_add(1, Ordering::Relaxed));
            let mut create: Vec<&str> = vec!["create", "--name", &name];
            create.extend(self.burst.iter().map(String::as_str).chain(words.iter().copied()));
            docker(&create).await?;
            docker(["start", &name]).await?;
            tokio::time::sleep(after).await;
            // It fails for one that has ended.
            let was_running = docker(["kill", &name]).await.is_ok();
            docker(["rm", "--force", &name]).await?;
            Ok(was_running)
        })
    }
}
