//! The workers of a run: processes that are killed, stopped, drained and always started again.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;
use tollgate::env;
use tollgate_testkit::process::{Guard, Signal};

use super::history::{Event, Footprint, History};
use crate::stage::Programs;

/// How often the keeper looks whether a worker has ended, and how long it is away after a kill.
/// A process that takes less has not begun: for some microseconds after it was started it still has the descriptors of
/// this one, whose number says nothing of a worker.
const BEGUN_KIB: u64 = 1024;
const LOOK_EVERY: Duration = Duration::from_millis(60);
/// How long a drain may take.
const DRAINS_WITHIN: Duration = Duration::from_secs(30);
/// Until when a worker may not listen to signals yet, on a busy machine.
const STARTS_WITHIN: Duration = Duration::from_secs(3);
const SIGTERM: i32 = 15;
/// How long a worker may take to say how it is.
const METRICS_WITHIN: Duration = Duration::from_millis(300);

/// What every worker of a run is started with.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    pub(super) args: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    /// Another build of the worker, which takes turns with this one in each place.
    pub(super) other: Option<PathBuf>,
    /// Ends that this scenario brings about by itself, as they are written in the history.
    pub(super) may_end: Vec<&'static str>,
}

struct Slot {
    process: Option<Guard>,
    /// Away on purpose; the keeper leaves it alone.
    away: bool,
    stopped: bool,
    started: u64,
    begun: Instant,
    port: u16,
    /// A fail point for its next start.
    failpoint: Option<String>,
}

pub(super) struct Fleet {
    slots: Vec<Mutex<Slot>>,
    urls: Vec<String>,
    options: Options,
    programs: Arc<Programs>,
    history: Arc<History>,
    keeping: AtomicBool,
    /// What workers counted that were killed or drained, as far as somebody asked in time.
    pub(super) reclaimed: Tally,
    /// Attempts to pay that were told that a newer one has begun.
    pub(super) fenced: Tally,
}

/// Counters of processes that come and go: each one's last figure counts.
#[derive(Default)]
pub(super) struct Tally {
    latest: std::sync::Mutex<std::collections::BTreeMap<u32, u64>>,
    sum: AtomicU64,
}

impl Tally {
    fn note(&self, pid: u32, count: u64) {
        let mut latest = self.latest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = latest.insert(pid, count).unwrap_or(0);
        self.sum.fetch_add(count.saturating_sub(before), Ordering::Relaxed);
    }

    pub(super) fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }
}

impl Fleet {
    /// One worker for each way to Redis.
    pub(super) async fn start(
        programs: Arc<Programs>,
        history: Arc<History>,
        urls: Vec<String>,
        options: Options,
    ) -> anyhow::Result<Self> {
        let fleet = Self {
            slots: urls.iter().map(|_| Mutex::new(Slot::empty())).collect(),
            urls,
            options,
            programs,
            history,
            keeping: AtomicBool::new(true),
            reclaimed: Tally::default(),
            fenced: Tally::default(),
        };
        for number in 0..fleet.len() {
            fleet.spawn(number, &mut *fleet.slots[number].lock().await)?;
        }
        Ok(fleet)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    fn spawn(&self, number: usize, slot: &mut Slot) -> anyhow::Result<()> {
        slot.port = crate::port::free()?;
        slot.started += 1;
        slot.begun = Instant::now();
        let log = self.programs.dir().join(format!("worker-{}.log", number + 1));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let other =
            self.options.other.as_ref().filter(|_| (slot.started as usize + number).is_multiple_of(2));
        let program = other.cloned().unwrap_or_else(|| self.programs.program("tollgate-worker"));
        let mut command = self.programs.command(&program.display().to_string(), &self.urls[number]);
        command.args(["--listen", &slot.port.to_string()]).args(&self.options.args);
        if let Some(failpoint) = slot.failpoint.take() {
            command.env(env::TOLLGATE_FAILPOINTS, failpoint);
        }
        command.envs(self.options.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = Guard::start(&mut command).context("starting a worker")?;
        self.note(number, process.pid(), "started");
        slot.process = Some(process);
        (slot.away, slot.stopped) = (false, false);
        Ok(())
    }

    fn note(&self, number: usize, pid: u32, what: &str) {
        let name = format!("worker {}", number + 1);
        self.history.add(Event::Process { name, pid, what: what.to_owned() });
    }

    /// Starts whoever has ended, until [`Fleet::drain`].
    pub(super) async fn keep(&self) {
        while self.keeping.load(Ordering::Relaxed) {
            tokio::time::sleep(LOOK_EVERY).await;
            for number in 0..self.len() {
                let mut slot = self.slots[number].lock().await;
                if slot.away {
                    continue;
                }
                if let Some(process) = slot.process.as_mut() {
                    let Some(status) = process.ended() else { continue };
                    let pid = process.pid();
                    let end = format!("ended by itself: {status}");
                    if self.options.may_end.iter().any(|may| end.contains(may)) {
                        self.note(number, pid, &end);
                    } else {
                        self.history.add(Event::Unexpected { what: format!("worker {} {end}", number + 1) });
                    }
                }
                if let Err(problem) = self.spawn(number, &mut slot) {
                    self.history.add(Event::Unexpected { what: format!("{problem:#}") });
                }
            }
        }
    }

    /// SIGKILL; the keeper starts another.
    pub(super) async fn kill(&self, number: usize) {
        self.read_metrics(number).await;
        let mut slot = self.slots[number].lock().await;
        if let Some(mut process) = slot.process.take() {
            process.kill().await;
            self.note(number, process.pid(), "killed");
        }
    }

    /// SIGKILL, and none in its place until [`Fleet::bring_back`].
    pub(super) async fn take_away(&self, number: usize) {
        self.kill(number).await;
        self.slots[number].lock().await.away = true;
    }

    /// Lets the keeper start it again; or wakes it up.
    pub(super) async fn bring_back(&self, number: usize) {
        let mut slot = self.slots[number].lock().await;
        slot.away = false;
        if std::mem::take(&mut slot.stopped)
            && let Some(process) = &slot.process
        {
            process.signal(Signal::CONT);
            self.note(number, process.pid(), "goes on");
        }
    }

    /// SIGSTOP, until [`Fleet::bring_back`].
    pub(super) async fn stop(&self, number: usize) {
        let mut slot = self.slots[number].lock().await;
        if let Some(process) = &slot.process {
            process.signal(Signal::STOP);
            self.note(number, process.pid(), "stopped");
            slot.stopped = true;
        }
    }

    /// SIGTERM as often as that, then perhaps SIGKILL; the keeper starts another.
    pub(super) async fn terminate(&self, number: usize, times: usize, kill: bool) {
        self.read_metrics(number).await;
        let mut slot = self.slots[number].lock().await;
        let Some(mut process) = slot.process.take() else { return };
        for _ in 0..times {
            process.signal(Signal::TERM);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if kill {
            process.kill().await;
            self.note(number, process.pid(), "terminated, then killed");
            return;
        }
        let ended = process.wait(DRAINS_WITHIN).await;
        self.judge_end(number, process.pid(), slot.begun.elapsed(), ended);
    }

    /// One that was asked to end before it listened to signals has ended by the signal, with nothing in flight.
    fn judge_end(&self, number: usize, pid: u32, age: Duration, ended: Option<ExitStatus>) {
        match ended {
            Some(status) if status.signal() == Some(SIGTERM) && age < STARTS_WITHIN => {
                self.note(number, pid, "ended before it had started");
            }
            Some(status) if status.success() => self.note(number, pid, "drained"),
            Some(status) => {
                self.history
                    .add(Event::Unexpected { what: format!("worker {} drained with {status}", number + 1) });
            }
            None => {
                self.history.add(Event::Unexpected {
                    what: format!("worker {} does not drain within {DRAINS_WITHIN:?}", number + 1),
                });
            }
        }
    }

    /// Kills it, and lets the next in its place end at this fail point.
    pub(super) async fn set_failpoint(&self, number: usize, failpoint: String) {
        self.kill(number).await;
        self.slots[number].lock().await.failpoint = Some(failpoint);
    }

    pub(super) async fn pids(&self) -> Vec<Option<u32>> {
        let mut pids = Vec::new();
        for slot in &self.slots {
            pids.push(slot.lock().await.process.as_ref().map(Guard::pid));
        }
        pids
    }

    /// Memory and file descriptors of every one.
    pub(super) async fn footprints(&self) -> Vec<Footprint> {
        let pids = self.pids().await;
        let read = |(slot, pid): (usize, Option<u32>)| {
            let pid = pid?;
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            let resident_kib = resident.split_whitespace().next()?.parse().ok()?;
            if resident_kib < BEGUN_KIB {
                return None;
            }
            let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
            Some(Footprint { slot, pid, resident_kib, descriptors })
        };
        pids.into_iter().enumerate().filter_map(read).collect()
    }

    /// Asks one what it has counted; one that is stopped or busy does not answer.
    pub(super) async fn read_metrics(&self, number: usize) {
        let (port, pid) = {
            let slot = self.slots[number].lock().await;
            (slot.port, slot.process.as_ref().map(Guard::pid))
        };
        let asked = tokio::time::timeout(METRICS_WITHIN, metrics(port)).await;
        if let (Ok(Ok(text)), Some(pid)) = (asked, pid) {
            let sum = |what: &str| {
                let lines = text.lines().filter(|line| line.starts_with(what));
                lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
            };
            self.reclaimed.note(pid, sum("tollgate_entries_reclaimed_total"));
            self.fenced.note(pid, sum(r#"tollgate_payouts_total{code="fenced"}"#));
        }
    }

    /// Ends all of them as an operator would.
    pub(super) async fn drain(&self) {
        self.keeping.store(false, Ordering::Relaxed);
        for number in 0..self.len() {
            self.read_metrics(number).await;
            let mut slot = self.slots[number].lock().await;
            slot.away = true;
            if let Some(process) = &slot.process {
                process.signal(Signal::TERM);
            }
        }
        for number in 0..self.len() {
            let mut slot = self.slots[number].lock().await;
            if let Some(mut process) = slot.process.take() {
                let ended = process.wait(DRAINS_WITHIN).await;
                self.judge_end(number, process.pid(), slot.begun.elapsed(), ended);
            }
        }
    }
}

impl Slot {
    fn empty() -> Self {
        Self {
            process: None,
            away: false,
            stopped: false,
            started: 0,
            begun: Instant::now(),
            port: 0,
            failpoint: None,
        }
    }
}

async fn metrics(port: u16) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}
