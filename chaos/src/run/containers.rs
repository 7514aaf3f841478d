//! `tollgate-chaos compose run`: the fleet of docker-compose.yml with lock nodes and the bank, broken from a seed. Load,
//! judge and report are those of every run; producers run in containers of their own, and what breaks is containers.

mod crew;
mod events;
mod faults;
mod fleet;
pub(crate) mod plan;
mod schedule;
mod seen;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::watch;

use self::crew::Crew;
use self::fleet::Fleet;
use self::plan::Plan;
use super::client::Client;
use super::finish;
use super::ground::CLAIM_IDLE;
use super::history::{Beginning, Event, History};
use super::progress::Progress;
use super::scenario::LOCKED_OUT;
use super::workload::{self, Load};
use crate::compose::project::Project;
use crate::stage::{Programs, print};

/// What the payouts of a drain may take in addition: the bank answers late, and each retry waits longer.
const PAYOUTS_END_WITHIN: Duration = Duration::from_secs(30);
/// For how long a container that was killed may be away: the engine waits longer after each restart.
const RETURNS_WITHIN: Duration = Duration::from_secs(60);
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// Files are larger than in a run of processes, since each is sent by a container of its own.
const LOAD: Load = Load {
    askers: 4,
    file: 600,
    file_every: Duration::from_millis(150),
    payouts: true,
    poison: true,
    pauses: true,
    unheard: None,
    backlog: 0,
};

/// Plays it in a project that is not up yet, and judges it.
pub(crate) async fn run(
    plan: &Plan,
    project: &Arc<Project>,
    programs: Arc<Programs>,
) -> anyhow::Result<ExitCode> {
    let dir = plan.report.join(format!("compose-{}", plan.seed));
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let progress = Progress::of("compose", !plan.json);
    let played = play(plan, project, programs, &dir, &progress).await;
    progress.done();
    played?;
    let (verdict, said) = super::judged(&dir, plan.json, true)?;
    print(said);
    let seen = seen::by_fault(&dir)?;
    std::fs::write(dir.join("producers.txt"), &seen)?;
    if !plan.json {
        print(format_args!("\nwhat it looked like to a producer:\n{seen}"));
        print(format_args!("repeat: {}", plan.repeat));
    }
    Ok(ExitCode::from(verdict.exit_code()))
}

/// Where the programs beside this one put the files that containers read.
pub(crate) fn programs() -> anyhow::Result<Arc<Programs>> {
    let programs = Programs::new()?;
    // Containers run as users of their own.
    std::fs::set_permissions(programs.dir(), std::fs::Permissions::from_mode(0o755))?;
    Ok(Arc::new(programs))
}

async fn play(
    plan: &Plan,
    project: &Arc<Project>,
    programs: Arc<Programs>,
    dir: &Path,
    progress: &Progress,
) -> anyhow::Result<()> {
    progress.phase("containers come up");
    project.up(&[("worker", plan.workers), ("producer", LOAD.askers)]).await?;
    let history = Arc::new(History::create(dir)?);
    history.add(Event::Begins(Box::new(beginning(plan))));
    let fleet = Arc::new(Fleet::of(project, Arc::clone(&history)).await?);
    let crew = Crew::of(project, programs.dir()).await?;
    let ways = (crew.way(), project.direct_url()?);
    let client =
        Arc::new(Client::new(Arc::clone(&history), programs, plan.seed, None, ways).with_producers(crew));
    let listener = events::listen(project, Arc::clone(&fleet))?;
    fleet.all_started().await?;
    workload::open(&client, &LOAD).await.context("opening campaigns and accounts")?;

    let (end, ends) = watch::channel(false);
    let load = tokio::spawn(workload::run(Arc::clone(&client), LOAD, ends.clone()));
    let sampler = tokio::spawn(sample(Arc::clone(&client), Arc::clone(&fleet), ends));
    faults::strike(plan, project, &fleet, &client, progress).await?;

    client.load.quiet.store(true, Ordering::Relaxed);
    fleet.whole(RETURNS_WITHIN).await?;
    history.add(Event::Healed);
    end.send_replace(true);
    load.await?;
    sampler.await?;
    progress.phase("drains");
    finish::drain(&client, drains_within(), false).await?;
    progress.phase("reads");
    finish::read(&client, dir).await?;
    fleet.copy_ledger(dir).await?;
    client.count("reclaimed", fleet.reclaimed());
    fleet.stop_workers().await?;
    finish::census(&client, dir).await?;
    fleet.keep_logs(dir).await?;
    listener.end().await;
    history.close()
}

fn drains_within() -> Duration {
    CLAIM_IDLE * 5 + Duration::from_secs(25) + PAYOUTS_END_WITHIN
}

fn beginning(plan: &Plan) -> Beginning {
    Beginning {
        scenario: "compose".to_owned(),
        seed: plan.seed,
        duration_ms: plan.duration.as_millis() as u64,
        workers: plan.workers,
        appendfsync: "always".to_owned(),
        server: plan.engine.clone(),
        at: humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
        drains_within_ms: drains_within().as_millis() as u64,
        expects: vec![LOCKED_OUT.to_owned()],
        bites: ["replayed", "reclaimed", "unknown", "payouts paid"].map(str::to_owned).to_vec(),
        release: !cfg!(debug_assertions),
        repeat: plan.repeat.clone(),
        ..Beginning::default()
    }
}

/// Notes depth and footprints until the end.
async fn sample(client: Arc<Client>, fleet: Arc<Fleet>, mut ends: watch::Receiver<bool>) {
    loop {
        let begun = Instant::now();
        client.sample(fleet.footprints().await.unwrap_or_default()).await;
        let pause = SAMPLE_EVERY.saturating_sub(begun.elapsed()).max(Duration::from_millis(50));
        tokio::select! {
            _ = ends.wait_for(|end| *end) => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
