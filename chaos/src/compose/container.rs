//! One container, by its id: what the engine says of it, and what is done to it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::Child;
use tokio::task::JoinHandle;

use super::engine::docker;

/// How long the log of a container that is gone may take to end.
const SAYS_LAST_WITHIN: Duration = Duration::from_secs(5);

/// A container of a service. Its id stays the same over restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) id: String,
    /// `worker 3`, `redis`.
    pub(crate) name: String,
    pub(crate) service: String,
}

impl Container {
    /// All that the engine knows of it.
    pub(crate) async fn inspect(&self) -> anyhow::Result<Value> {
        let text = docker(["inspect", &self.id]).await?;
        let mut all: Vec<Value> = serde_json::from_str(&text).context("docker inspect")?;
        all.pop().context("docker inspect says nothing")
    }

    /// Its process on this machine; `None` if none runs.
    pub(crate) async fn pid(&self) -> anyhow::Result<Option<u32>> {
        let pid = docker(["inspect", "--format", "{{.State.Pid}}", &self.id]).await?;
        Ok(pid.parse().ok().filter(|pid| *pid != 0))
    }

    /// SIGKILL to the process itself. `docker kill` would be taken for a stop by hand, and nothing would come back.
    pub(crate) async fn kill_process(&self) -> anyhow::Result<u32> {
        let pid = self.pid().await?.with_context(|| format!("{} does not run", self.name))?;
        // In Docker Desktop the process ids are another machine's: never signal a process that is not this one.
        let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        ensure!(cgroup.contains(&self.id), "{}: its process {pid} is not one of this machine", self.name);
        let status = tokio::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().await?;
        ensure!(status.success(), "kill -KILL {pid}: {status}");
        Ok(pid)
    }

    // What faults do.
    pub(crate) async fn pause(&self) -> anyhow::Result<()> {
        docker(["pause", &self.id]).await.map(drop)
    }

    pub(crate) async fn unpause(&self) -> anyhow::Result<()> {
        docker(["unpause", &self.id]).await.map(drop)
    }

    /// As an operator does: SIGTERM, and SIGKILL after its grace period. Answers its exit code.
    pub(crate) async fn stop(&self) -> anyhow::Result<i64> {
        docker(["stop", &self.id]).await?;
        self.exit_code().await
    }

    pub(crate) async fn exit_code(&self) -> anyhow::Result<i64> {
        Ok(docker(["inspect", "--format", "{{.State.ExitCode}}", &self.id]).await?.parse()?)
    }

    pub(crate) async fn start(&self) -> anyhow::Result<()> {
        docker(["start", &self.id]).await.map(drop)
    }

    pub(crate) async fn restart(&self) -> anyhow::Result<()> {
        docker(["restart", &self.id]).await.map(drop)
    }

    pub(crate) async fn disconnect(&self, network: &str) -> anyhow::Result<()> {
        docker(["network", "disconnect", "--force", network, &self.id]).await.map(drop)
    }

    /// Under the name of its service, which it would not get back by itself.
    pub(crate) async fn connect(&self, network: &str) -> anyhow::Result<()> {
        docker(["network", "connect", "--alias", &self.service, network, &self.id]).await.map(drop)
    }

    /// Listens to what it says from now on and has said, until it is gone.
    pub(crate) fn follow(&self) -> anyhow::Result<Following> {
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", "exec docker logs --follow \"$1\" 2>&1", "logs", &self.id]);
        command
            .kill_on_drop(true)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command.spawn().context("docker logs")?;
        let mut stdout = process.stdout.take().context("docker logs has no output")?;
        let reader = tokio::spawn(async move {
            let mut text = Vec::new();
            // What was read before an error is all there is.
            let _ = stdout.read_to_end(&mut text).await;
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Following { process, reader })
    }

    pub(crate) async fn logs(&self) -> anyhow::Result<String> {
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", "docker logs \"$1\" 2>&1", "logs", &self.id]);
        super::engine::finish(command, super::engine::DOCKER_WITHIN).await
    }
}

/// The log of a container that goes.
pub(crate) struct Following {
    process: Child,
    reader: JoinHandle<String>,
}

impl Following {
    /// All that it said. One that is still there is listened to no longer.
    pub(crate) async fn text(mut self) -> String {
        if tokio::time::timeout(SAYS_LAST_WITHIN, self.process.wait()).await.is_err() {
            // It fails only for a process that has ended.
            let _ = self.process.kill().await;
        }
        self.reader.await.unwrap_or_default()
    }
}
