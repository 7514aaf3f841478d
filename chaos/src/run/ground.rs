//! What a scenario stands on: looks whether this machine has what it takes, and sets it up.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::Mutex;
use tollgate::embedded::server_binary;
use tollgate::env;
use tollgate_testkit::process::Guard;
use tollgate_testkit::proxy::Proxy;
use tollgate_testkit::servers::cli_program;

use super::client::Client;
use super::clocks::{self, Clock};
use super::fault::Fault;
use super::faults::KILLERS;
use super::fleet::{Fleet, Options};
use super::history::History;
use super::plan::Plan;
use super::redis::{Redis, Settings};
use super::scenario::Ground;
use super::site::{Bank, Site};
use super::topology::Topology;
use crate::sandbox::Files;
use crate::stage::Programs;

/// So short a time would be wrong for a fleet; here it lets the others take over at once.
pub(super) const CLAIM_IDLE: Duration = Duration::from_secs(1);
/// How long one request to the bank may take; a lease is longer.
pub(super) const PAYOUT_TIMEOUT_MS: u64 = 300;
/// How often the bank misbehaves, in each of its ways.
const MISCHIEF: &str = "3%";
const SMALL_DISK: &str = "size=12m";
/// What a slow disk adds to every flush, in microseconds.
const SLOW_FSYNC: &str = "inject=fdatasync:delay_enter=40000";

/// What is needed is there.
pub(super) struct Prepared {
    pub(super) redis: Settings,
    pub(super) workers: Options,
    /// What producers are started with beside their words.
    pub(super) producers: Vec<(String, String)>,
    pub(super) clocks: Vec<Clock>,
    /// The fail points of the worker.
    pub(super) points: Vec<String>,
}

/// Looks for what the scenario needs; says what is missing.
pub(super) fn prepare(plan: &Plan, programs: &Programs) -> Result<Prepared, String> {
    let dir = programs.dir();
    let [server, words @ ..] = plan.server.as_slice() else { return Err("no server is named".to_owned()) };
    let version: Vec<&str> = words.iter().map(String::as_str).chain(["--version"]).collect();
    if !succeeds(server, &version) {
        return Err(format!(
            "`{} --version` does not run here: is the server installed?",
            plan.server.join(" ")
        ));
    }
    let mut redis = Settings {
        command: plan.server.clone(),
        dir: dir.join("redis"),
        socket: dir.join("redis.sock"),
        log: dir.join("redis.log"),
        appendfsync: plan.scenario.appendfsync.to_owned(),
        more: Vec::new(),
        environment: Vec::new(),
    };
    let mut workers = Options {
        args: ["--claim-idle", "1s", "--drain-timeout", "10s"].map(str::to_owned).to_vec(),
        may_end: plan.scenario.may_end.to_vec(),
        ..Options::default()
    };
    let (mut producers, mut clocks, mut points) = (Vec::new(), Vec::new(), Vec::new());
    match plan.scenario.ground {
        Ground::Plain | Ground::LockNodes => {}
        Ground::Cluster { .. } | Ground::Sentinel { .. } => own_server(plan)?,
        Ground::SmallDisk => {
            if !succeeds("unshare", &["--mount", "true"]) {
                return Err("a small disk of its own needs root (unshare --mount)".to_owned());
            }
            let script = format!("mount -t tmpfs -o {SMALL_DISK} none \"$0\" && cd \"$0\" && exec \"$@\"");
            let inside = ["unshare", "--mount", "/bin/sh", "-c", &script].map(str::to_owned).to_vec();
            redis.command = [inside, vec![redis.dir.display().to_string()], plan.server.clone()].concat();
        }
        Ground::SlowFsync => {
            if !succeeds("strace", &["-D", "-qq", "-o", "/dev/null", "true"]) {
                return Err("a slow fsync needs strace, and the right to use it".to_owned());
            }
            let with =
                ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"];
            let with = with.iter().chain(&["-e", SLOW_FSYNC]).map(ToString::to_string).collect::<Vec<_>>();
            redis.command = [with, plan.server.clone()].concat();
        }
        Ground::FailPoints | Ground::Killers => {
            points = failpoints(programs)
                .ok_or("this build of the worker has no fail points (cargo feature `failpoints`)")?;
            if plan.scenario.ground == Ground::Killers {
                let points = KILLERS.map(|(id, point)| format!("{point}:id={id}")).join(";");
                workers.environment.push((env::TOLLGATE_FAILPOINTS.to_owned(), points));
            }
        }
        Ground::Clocks => {
            let made = clocks::make(dir, &["server", "workers", "producers"])?;
            redis.environment.extend(made[0].environment());
            workers.environment.extend(made[1].environment());
            producers.extend(made[2].environment());
            clocks.extend(made);
        }
        Ground::TwoVersions => {
            let other = env::path(env::TOLLGATE_OTHER_WORKER).filter(|other| other.is_file());
            let Some(other) = other else {
                return Err("TOLLGATE_OTHER_WORKER names no other build of tollgate-worker".to_owned());
            };
            workers.other = Some(other);
        }
    }
    if let Some(name) = plan.sabotage.and_then(|planted| planted.in_programs()) {
        workers.environment.push((env::TOLLGATE_SABOTAGE.to_owned(), name.to_owned()));
    }
    Ok(Prepared { redis, workers, producers, clocks, points })
}

/// Nodes and Sentinels are started like every private server.
fn own_server(plan: &Plan) -> Result<(), String> {
    let own = server_binary().map_err(|error| error.to_string())?;
    let is_own = |name: &String| own.as_os_str() == name.as_str() || own.file_name() == Some(name.as_ref());
    if !matches!(plan.server.as_slice(), [name] if is_own(name)) {
        let own = own.display();
        return Err(format!("a cluster and Sentinels run {own} (TOLLGATE_REDIS_SERVER names another)"));
    }
    let reshards = plan.scenario.faults.iter().any(|recurring| recurring.fault == Fault::Reshard);
    if reshards && !succeeds(&cli_program().display().to_string(), &["--version"]) {
        return Err("resharding needs redis-cli, in PATH or beside the server".to_owned());
    }
    Ok(())
}

/// Sets everything up, up to workers that live.
pub(super) async fn build(
    plan: &Plan,
    programs: Arc<Programs>,
    history: Arc<History>,
    prepared: Prepared,
) -> anyhow::Result<Site> {
    let Prepared { redis, mut workers, producers, clocks, points } = prepared;
    let socket = redis.socket.clone();
    let topology = Topology::start(plan.scenario.ground, redis, programs.dir()).await?;
    let url = topology.url().await?;
    let way = |number: usize| {
        let path = programs.dir().join(format!("way-{number}"));
        Proxy::listen(&path, &socket, plan.seed.wrapping_add(number as u64)).context("a proxy")
    };
    let ways = if matches!(topology, Topology::One(_)) { plan.workers + 1 } else { 0 };
    let proxies = (0..ways).map(way).collect::<anyhow::Result<Vec<_>>>()?;
    let mut lock_nodes = Vec::new();
    if plan.scenario.ground == Ground::LockNodes {
        for number in 0..3 {
            let node = lock_node(&programs, plan, number).await?;
            workers.args.extend(["--lock-redis".to_owned(), node.url()]);
            lock_nodes.push(Mutex::new(node));
        }
    }
    init(&programs, &url, topology.partitions()).await?;
    let bank = if plan.scenario.load.payouts { Some(open_bank(&programs, plan.seed).await?) } else { None };
    if let Some(bank) = &bank {
        let timeout = format!("{PAYOUT_TIMEOUT_MS}ms");
        let words = [
            "--payout-timeout",
            &timeout,
            "--payout-backoff",
            "100ms",
            "--payout-pause",
            "200ms",
            "-c",
            "20",
        ];
        workers.args.extend(["--payout-url", &bank.url].iter().chain(&words).map(ToString::to_string));
    }
    let way = |number: usize| proxies.get(number).map_or_else(|| url.clone(), Proxy::url);
    let urls = (1..=plan.workers).map(way).collect();
    let fleet = Fleet::start(Arc::clone(&programs), Arc::clone(&history), urls, workers).await?;
    let ways = (way(0), url.clone());
    let client = Client::new(history, programs, plan.seed, plan.sabotage, ways).with_environment(producers);
    let (client, backlog) = (Arc::new(client), plan.scenario.load.backlog);
    Ok(Site { client, fleet, bank, proxies, topology, lock_nodes, clocks, points, backlog })
}

async fn init(programs: &Programs, url: &str, partitions: usize) -> anyhow::Result<()> {
    let mut command = programs.command("tollgate-producer", url);
    let output =
        command.args(["init", "--partitions", &partitions.to_string()]).stdin(Stdio::null()).output().await?;
    ensure!(output.status.success(), "init: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

async fn lock_node(programs: &Programs, plan: &Plan, number: usize) -> anyhow::Result<Redis> {
    let name = format!("lock-{number}");
    let settings = Settings {
        command: plan.server.clone(),
        dir: programs.dir().join(&name),
        socket: programs.dir().join(format!("{name}.sock")),
        log: programs.dir().join(format!("{name}.log")),
        appendfsync: "everysec".to_owned(),
        more: Vec::new(),
        environment: Vec::new(),
    };
    Redis::start(settings).await
}

async fn open_bank(programs: &Programs, seed: u64) -> anyhow::Result<Bank> {
    let files = Files::in_dir(programs.dir());
    let mut command = programs.command("tollgate-chaos", "");
    files.arguments(&mut command, seed, MISCHIEF)?;
    let mut process = Guard::start(command.env_remove(env::REDIS_URL)).context("starting the bank")?;
    let url = files.opened(|| process.ended().is_some()).await?;
    Ok(Bank { process: Mutex::new(process), ledger: files.ledger, url })
}

/// The steps at which the worker can be made to die: it names them where it is told one that is none. Those of its
/// agents are left out, which are begun again.
fn failpoints(programs: &Programs) -> Option<Vec<String>> {
    let said = Command::new(programs.program("tollgate-worker"))
        .env(env::TOLLGATE_FAILPOINTS, "nowhere:abort")
        .env(env::REDIS_URL, "unix:///nowhere")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&said.stderr);
    let (_, names) = said.split_once("the point must be one of ")?;
    let names = names.lines().next()?.split(", ").map(|name| name.trim_matches('"').trim().to_owned());
    Some(names.filter(|name| name.starts_with("before_") || name.starts_with("after_")).collect())
}

fn succeeds(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
