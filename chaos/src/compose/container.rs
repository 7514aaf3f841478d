//! One container, by its id: what the engine says of it, and what is done to it.

use anyhow::{Context, ensure};
use serde_json::Value;

use super::engine::docker;

/// A container of a service. Its id stays the same over restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) id: String,
    /// `worker 3`, `redis`.
    pub(super) name: String,
    pub(super) service: String,
}

impl Container {
    /// All that the engine knows of it.
    pub(super) async fn inspect(&self) -> anyhow::Result<Value> {
        let text = docker(["inspect", &self.id]).await?;
        let mut all: Vec<Value> = serde_json::from_str(&text).context("docker inspect")?;
        all.pop().context("docker inspect says nothing")
    }

    /// Its process on this machine; `None` if none runs.
    pub(super) async fn pid(&self) -> anyhow::Result<Option<u32>> {
        let pid = docker(["inspect", "--format", "{{.State.Pid}}", &self.id]).await?;
        Ok(pid.parse().ok().filter(|pid| *pid != 0))
    }

    /// SIGKILL to the process itself. `docker kill` would be taken for a stop by hand, and nothing would come back.
    pub(super) async fn kill_process(&self) -> anyhow::Result<u32> {
        let pid = self.pid().await?.with_context(|| format!("{} does not run", self.name))?;
        // In Docker Desktop the process ids are another machine's: never signal a process that is not this one.
        let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        ensure!(cgroup.contains(&self.id), "{}: its process {pid} is not one of this machine", self.name);
        let status = tokio::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().await?;
        ensure!(status.success(), "kill -KILL {pid}: {status}");
        Ok(pid)
    }

    /// As an operator does: SIGTERM, and SIGKILL after its grace period. Answers its exit code.
    pub(super) async fn stop(&self) -> anyhow::Result<i64> {
        docker(["stop", &self.id]).await?;
        self.exit_code().await
    }

    pub(super) async fn exit_code(&self) -> anyhow::Result<i64> {
        Ok(docker(["inspect", "--format", "{{.State.ExitCode}}", &self.id]).await?.parse()?)
    }

    pub(super) async fn start(&self) -> anyhow::Result<()> {
        docker(["start", &self.id]).await.map(drop)
    }
}
