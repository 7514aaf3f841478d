//! Two requests, of which the first is stopped between its last check of the lock and its write, until the lock has
//! ended and another has had it.
//!
//! The first is served by a process of its own, this same program under a hidden name, which stops itself; the second
//! is served here meanwhile.

use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::cure::Service;
use super::hands::Hands;
use super::matrix::Cell;
use super::scenario::Round;
use super::serve::{Course, serve};
use super::servers::Addresses;
use super::stop::{STOPPING, Stop};
use super::trace::Trace;

/// How soon the lock of a stopped holder ends: the shortest that etcd knows, and the same for all.
const HOLDER_LOCK_TTL: Duration = Duration::from_secs(1);
/// The same for Consul, whose sessions last for twice their least TTL, and some time to see that it has ended.
const CONSUL_PAUSE: Duration = Duration::from_secs(30);
/// How long it may take to come to that point, and to end after it.
const PROMPTLY: Duration = Duration::from_secs(60);

/// What the holder has to do.
#[derive(Serialize, Deserialize)]
struct Task {
    addresses: Addresses,
    cell: Cell,
    round: Round,
}

/// The holder: serves the first request of the round that it reads, and prints its trace.
pub(crate) async fn hold() -> anyhow::Result<()> {
    let Task { addresses, cell, round } = serde_json::from_reader(std::io::stdin())?;
    let mut hands = Hands::new(addresses, HOLDER_LOCK_TTL);
    hands.reach_for(cell).await?;
    let course = Course { think: Duration::ZERO, stop: Stop::BeforeWriting };
    let request = round.requests.first().context("a round without requests")?;
    let trace = serve(&mut hands, cell, &round, request, course).await?;
    crate::stage::print(serde_json::to_string(&trace)?);
    Ok(())
}

/// What came of two requests of which the first was stopped.
pub(super) struct PausedHolder {
    pub(super) round: Round,
    pub(super) traces: [Trace; 2],
    /// How long the second one took.
    pub(super) waited: Duration,
}

/// Plays the story of two users: the holder is stopped until the other is through, or for `pause`; or for longer where
/// the lock itself takes longer to end.
pub(super) async fn paused_holder(
    hands: &mut Hands,
    addresses: &Addresses,
    cell: Cell,
    round: Round,
    pause: Duration,
) -> anyhow::Result<PausedHolder> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("race-holder")
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting a holder")?;
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).context("no process id")?;
    let task = Task { addresses: addresses.clone(), cell, round };
    let mut stdin = child.stdin.take().context("no stdin")?;
    stdin.write_all(serde_json::to_string(&task)?.as_bytes()).await?;
    drop(stdin);
    let round = task.round;
    let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    let mut line = async || {
        let line =
            tokio::time::timeout(PROMPTLY, lines.next_line()).await.context("the holder is silent")??;
        line.with_context(|| format!("the holder ended early: {}", cell.label()))
    };
    let said = line().await?;
    ensure!(said == STOPPING, "the holder said {said:?}");

    let begun = Instant::now();
    let course = Course { think: Duration::ZERO, stop: Stop::Never };
    let second = round.requests.get(1).context("a round for one")?;
    let (trace, waited) = {
        let mut other = pin!(async {
            let trace = serve(hands, cell, &round, second, course).await;
            trace.map(|trace| (trace, begun.elapsed()))
        });
        let pause = match cell.cure.service() {
            Some(Service::Consul) => pause.max(CONSUL_PAUSE),
            _ => pause,
        };
        let early = tokio::time::timeout(pause, &mut other).await;
        kill_process(pid, Signal::CONT).context("continuing the holder")?;
        match early {
            Ok(served) => served?,
            Err(_) => other.await?,
        }
    };
    let first: Trace = serde_json::from_str(&line().await?)?;
    Ok(PausedHolder { round, traces: [first, trace], waited })
}
