//! What the engine tells of the run's containers, as it happens: each start, death, pause and disconnection is on the
//! time line, and a death that nobody brought about fails the run.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::fleet::Fleet;
use crate::compose::engine::docker;
use crate::compose::project::Project;
use crate::run::history::Event;

/// Those that say something; commands that run in containers and health checks do not.
const TOLD: [&str; 11] =
    ["create", "start", "die", "kill", "oom", "pause", "unpause", "stop", "destroy", "connect", "disconnect"];
/// How long the last events may take to arrive.
const LAST_WITHIN: Duration = Duration::from_millis(500);

/// Listens until its end.
pub(super) struct Listener {
    process: Child,
    reader: JoinHandle<()>,
}

/// Begins to listen. Cancel-safe: the process that listens ends when this is dropped.
pub(super) fn listen(project: &Project, fleet: Arc<Fleet>) -> anyhow::Result<Listener> {
    let mut command = Command::new("docker");
    command.args([
        "events",
        "--format",
        "{{json .}}",
        "--filter",
        "type=container",
        "--filter",
        "type=network",
    ]);
    TOLD.iter().for_each(|event| _ = command.args(["--filter", &format!("event={event}")]));
    command.kill_on_drop(true).process_group(0).current_dir(project.dir());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().context("docker events")?;
    let stdout = process.stdout.take().context("docker events has no output")?;
    let (name, network) = (project.name().to_owned(), project.network());
    let reader = tokio::spawn(async move {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Ok(event) = serde_json::from_str::<Value>(&line) {
                note(&fleet, &name, &network, &event).await;
            }
        }
    });
    Ok(Listener { process, reader })
}

impl Listener {
    pub(super) async fn end(mut self) {
        tokio::time::sleep(LAST_WITHIN).await;
        // It fails only for a process that has ended.
        let _ = self.process.kill().await;
        let _ = self.reader.await;
    }
}

async fn note(fleet: &Fleet, project: &str, network: &str, event: &Value) {
    let action = event["Action"].as_str().unwrap_or_default();
    let attribute = |name: &str| event["Actor"]["Attributes"][name].as_str().unwrap_or_default();
    let id = if event["Type"] == "network" {
        if attribute("name") != network {
            return;
        }
        attribute("container").to_owned()
    } else {
        if attribute("com.docker.compose.project") != project {
            return;
        }
        event["Actor"]["ID"].as_str().unwrap_or_default().to_owned()
    };
    let service = attribute("com.docker.compose.service");
    // A burst's container lives for a second: that one was killed is all there is to tell.
    if service == "burst" || service == "init" {
        if action == "kill" {
            fleet.history.add(process("burst".to_owned(), 0, "killed"));
        }
        return;
    }
    let number = attribute("com.docker.compose.container-number");
    let name = fleet.name_of(&id).unwrap_or_else(|| format!("{service} {number}").trim().to_owned());
    if name.is_empty() {
        return;
    }
    match action {
        "start" => {
            let pid = docker(["inspect", "--format", "{{.State.Pid}}", &id]).await;
            let pid = pid.ok().and_then(|pid| pid.parse().ok()).unwrap_or(0);
            fleet.history.add(process(name, pid, "started"));
        }
        "die" => died(fleet, name, &id, attribute("exitCode")),
        "oom" => fleet.history.add(Event::Unexpected { what: format!("{name} ran out of memory") }),
        "connect" | "disconnect" => fleet.history.add(process(name, 0, &format!("{action}ed"))),
        // What follows a kill is told by the death.
        "kill" => {}
        _ => fleet.history.add(process(name, 0, action)),
    }
}

fn died(fleet: &Fleet, name: String, id: &str, code: &str) {
    match code {
        "137" if fleet.was_killed(id) => fleet.history.add(process(name, 0, "killed")),
        "0" => fleet.history.add(process(name, 0, "ended, exit code 0")),
        code => fleet.history.add(Event::Unexpected { what: format!("{name} died with exit code {code}") }),
    }
}

fn process(name: String, pid: u32, what: &str) -> Event {
    Event::Process { name, pid, what: what.to_owned() }
}
