//! The command line of a run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;

use super::plan::Plan;
use super::scenario::{self, Ground, Scenario};

/// A run. Without `--scenario`, `--smoke`, `--cluster` and `--sentinel` it is a mix.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Random faults that overlap, in periods with quiet ones between
    #[arg(long, conflicts_with_all = ["scenarios", "smoke"])]
    mix: bool,
    /// This scenario; repeatable (see --list)
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<String>,
    /// Every scenario, each for a few seconds, from fixed seeds
    #[arg(long, conflicts_with = "scenarios")]
    pub(super) smoke: bool,
    /// Every scenario of a Redis Cluster
    #[arg(long, conflicts_with_all = ["mix", "scenarios", "smoke"])]
    cluster: bool,
    /// Every scenario of a master that Sentinels watch
    #[arg(long, conflicts_with_all = ["mix", "scenarios", "smoke"])]
    sentinel: bool,
    /// Print the names of the scenarios, and run nothing
    #[arg(long)]
    pub(super) list: bool,
    /// The seed of everything that is drawn [default: a fresh one; 1 with --smoke]
    #[arg(long)]
    seed: Option<u64>,
    /// How long faults continue [default: 20s; a few for each scenario of a smoke run]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Workers
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(2..=32))]
    workers: u64,
    /// How many scenarios are played at the same time
    #[arg(long = "at-once", value_name = "N", default_value_t = 1, value_parser = at_once)]
    pub(super) jobs: usize,
    /// Report a part that this machine cannot run as left out, and do not fail for it
    #[arg(long)]
    pub(super) may_leave_out: bool,
    /// The redis-server or valkey-server; a command of several words runs it somewhere else (`chroot TREE redis-server`)
    /// [default: the first of the two in PATH]
    #[arg(long, value_name = "COMMAND", env = tollgate::env::TOLLGATE_REDIS_SERVER)]
    redis_server: Option<String>,
    /// Where the history, the logs and the reports go, one directory for each run
    #[arg(long, value_name = "DIR", default_value = "chaos-report")]
    pub(super) report: PathBuf,
    /// Print one JSON document for each run instead
    #[arg(long)]
    pub(super) json: bool,
    /// Plants a bug, to see the verdict fail
    #[cfg(feature = "sabotage")]
    #[arg(long, value_name = "NAME", value_parser = super::sabotage::Planted::parse)]
    sabotage: Option<super::sabotage::Planted>,
}

/// A run that was played before.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CheckArgs {
    /// Its directory
    pub(super) dir: PathBuf,
    /// Print one JSON document instead
    #[arg(long)]
    pub(super) json: bool,
}

/// How many jobs wait for a fleet that is gone, in a smoke run.
const SMOKE_BACKLOG: usize = 5_000;
const DURATION: Duration = Duration::from_secs(20);

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|problem| problem.to_string())?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
    if allowed.contains(&duration) { Ok(duration) } else { Err("must be from 1s to 24h".to_owned()) }
}

fn at_once(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=16).contains(count))
        .ok_or_else(|| "must be from 1 to 16".to_owned())
}

impl Args {
    /// What is to be played.
    pub(super) fn plans(&self) -> anyhow::Result<Vec<Plan>> {
        let all = scenario::list::all();
        let chosen: Vec<Scenario> = if self.smoke {
            all
        } else if self.cluster || self.sentinel {
            let is_chosen = |scenario: &Scenario| match scenario.ground {
                Ground::Cluster { .. } => self.cluster,
                Ground::Sentinel { .. } => self.sentinel,
                _ => false,
            };
            all.into_iter().filter(is_chosen).collect()
        } else if self.scenarios.is_empty() {
            vec![scenario::mix()]
        } else {
            let find = |name: &String| {
                all.iter().find(|scenario| scenario.name == name).cloned().ok_or_else(|| {
                    anyhow::anyhow!("--scenario {name}: there is none of this name (see --list)")
                })
            };
            self.scenarios.iter().map(find).collect::<Result<_, _>>()?
        };
        let server = match &self.redis_server {
            Some(command) => command.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
            // Where there is none, every scenario is left out, and says so.
            None => vec![
                tollgate::embedded::server_binary().unwrap_or("redis-server".into()).display().to_string(),
            ],
        };
        ensure!(!server.is_empty(), "--redis-server: must name a program");
        let seed = self.seed.unwrap_or_else(|| if self.smoke { 1 } else { rand::random_range(0..1_000_000) });
        Ok(chosen.into_iter().map(|scenario| self.plan(scenario, seed, &server)).collect())
    }

    fn plan(&self, mut scenario: Scenario, seed: u64, server: &[String]) -> Plan {
        if self.smoke {
            scenario.load.backlog = scenario.load.backlog.min(SMOKE_BACKLOG);
        }
        let fallback = if self.smoke { scenario.smoke } else { DURATION };
        let duration = self.duration.unwrap_or(fallback);
        let which = match scenario.name {
            "mix" => "--mix".to_owned(),
            name => format!("--scenario {name}"),
        };
        #[cfg(feature = "sabotage")]
        let sabotage = self.sabotage;
        #[cfg(not(feature = "sabotage"))]
        let sabotage: Option<super::sabotage::Planted> = None;
        let planted = sabotage.map_or_else(String::new, |planted| format!(" --sabotage {}", planted.name()));
        let time = humantime::format_duration(duration).to_string().replace(' ', "");
        let repeat = format!(
            "tollgate-chaos run {which} --seed {seed} --duration {time} --workers {}{planted}",
            self.workers
        );
        let server = server.to_vec();
        Plan { scenario, seed, duration, workers: self.workers as usize, server, sabotage, repeat }
    }
}
