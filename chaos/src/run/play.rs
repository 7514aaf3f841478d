//! The life of one run: set up, ask, break, heal, drain, read everything. What came of it is judged from the files.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::fault::Group;
use super::finish;
use super::ground;
use super::history::{Beginning, Event, FAULT, History};
use super::plan::Plan;
use super::progress::Progress;
use super::saboteur;
use super::schedule::{self, Strike};
use super::site::Site;
use super::workload;
use crate::stage::Programs;

const SAMPLE_EVERY: Duration = Duration::from_millis(250);

/// Plays it; its files are in `dir` afterwards. A part that cannot be played here answers why.
pub(super) async fn play(plan: &Plan, dir: &Path, progress: &Progress) -> anyhow::Result<Option<String>> {
    let programs = Arc::new(Programs::new()?);
    let prepared = match ground::prepare(plan, &programs) {
        Ok(prepared) => prepared,
        Err(why) => return Ok(Some(why)),
    };
    let history = Arc::new(History::create(dir)?);
    history.add(Event::Begins(Box::new(beginning(plan))));
    let site = Arc::new(ground::build(plan, programs, Arc::clone(&history), prepared).await?);
    workload::open(&site.client, &plan.scenario.load).await.context("opening campaigns and accounts")?;

    let (end, ends) = watch::channel(false);
    let load = tokio::spawn(workload::run(Arc::clone(&site.client), plan.scenario.load, ends.clone()));
    let keeper = {
        let site = Arc::clone(&site);
        tokio::spawn(async move { site.fleet.keep().await })
    };
    let sampler = tokio::spawn(sample(Arc::clone(&site), ends.clone()));
    let saboteur = tokio::spawn(saboteur::run(Arc::clone(&site), ends));

    strike(plan, &site, progress).await?;
    // Whoever waits for an answer gets it sooner when all is well again.
    finish::heal(&site).await?;
    end.send_replace(true);
    load.await?;
    sampler.await?;
    saboteur.await?;
    progress.phase("drains");
    finish::drain(&site, finish::drains_within(plan), plan.sabotage.is_some()).await?;
    progress.phase("reads");
    finish::read(&site, dir).await?;
    finish::witnesses(&site, dir)?;
    site.fleet.drain().await;
    keeper.await?;
    finish::census(&site, dir).await?;
    finish::keep_logs(&site, dir).await?;
    history.close()?;
    Ok(None)
}

fn beginning(plan: &Plan) -> Beginning {
    let Plan { scenario, seed, duration, workers, server, sabotage, repeat } = plan;
    Beginning {
        scenario: scenario.name.to_owned(),
        seed: *seed,
        duration_ms: duration.as_millis() as u64,
        workers: *workers,
        appendfsync: scenario.appendfsync.to_owned(),
        server: server.join(" "),
        at: humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
        drains_within_ms: finish::drains_within(plan).as_millis() as u64,
        bites: scenario.must_bite(),
        may_lose: scenario.may_lose,
        expects: scenario.expects.iter().map(ToString::to_string).collect(),
        sabotage: sabotage.map(|planted| planted.name().to_owned()),
        release: !cfg!(debug_assertions),
        repeat: repeat.clone(),
    }
}

/// Lets the faults begin when they are due, each in a task of its own that also ends it. All have ended afterwards.
/// On a machine that is so slow that something has not happened yet without which a run shows nothing, they go on.
async fn strike(plan: &Plan, site: &Arc<Site>, progress: &Progress) -> anyhow::Result<()> {
    let longest = plan.longest();
    let must = plan.must_happen();
    let has_happened = || must.iter().all(|(name, count)| site.happened(name) >= *count);
    let begun = Instant::now();
    let (over, is_over) = watch::channel(false);
    let busy: Busy = Arc::default();
    let mut tasks = JoinSet::new();
    let mut due: VecDeque<(usize, Strike)> =
        schedule::of(&plan.scenario, plan.seed, longest).into_iter().enumerate().collect();
    while begun.elapsed() < plan.duration || (begun.elapsed() < longest && !has_happened()) {
        let now = begun.elapsed();
        let mut later = VecDeque::new();
        while let Some((number, strike)) = due.pop_front() {
            let is_free = || strike.fault.group().is_none_or(|group| lock(&busy).insert(group));
            if strike.at > now || !is_free() {
                later.push_back((number, strike));
                continue;
            }
            let random = ChaCha8Rng::seed_from_u64(plan.seed ^ ((number as u64 + 1) << 20));
            progress.fault(strike.fault.name());
            tasks.spawn(one(Arc::clone(site), number, strike, random, is_over.clone(), Arc::clone(&busy)));
        }
        due = later;
        progress.tick(site, begun.elapsed(), plan.duration, tasks.len());
        while tasks.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    over.send_replace(true);
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}

/// What some fault has to itself just now.
type Busy = Arc<std::sync::Mutex<HashSet<Group>>>;

fn lock(busy: &Busy) -> std::sync::MutexGuard<'_, HashSet<Group>> {
    busy.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One fault, from its beginning to its end.
async fn one(
    site: Arc<Site>,
    number: usize,
    strike: Strike,
    mut random: ChaCha8Rng,
    mut over: watch::Receiver<bool>,
    busy: Busy,
) {
    let name = strike.fault.name();
    site.history.add(Event::FaultBegins { number, fault: name.to_owned() });
    match strike.fault.begin(&site, &mut random).await {
        Ok((what, undo)) => {
            site.history.add(Event::FaultHits { number, what });
            site.count(&format!("{FAULT}{name}"), 1);
            let _ = tokio::time::timeout(strike.lasts, over.wait_for(|over| *over)).await;
            if let Err(problem) = undo.undo(&site).await {
                site.history.add(Event::Unexpected { what: format!("{name} cannot be ended: {problem:#}") });
            }
        }
        // Something else is broken just now; that is no fault of this one.
        Err(problem) => site.count(&format!("fault that did not come about: {name} ({problem:#})"), 1),
    }
    site.history.add(Event::FaultEnds { number });
    if let Some(group) = strike.fault.group() {
        lock(&busy).remove(&group);
    }
}

/// Notes depth and footprints until the end.
async fn sample(site: Arc<Site>, mut ends: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = ends.wait_for(|end| *end) => return,
            () = tokio::time::sleep(SAMPLE_EVERY) => {}
        }
        for number in 0..site.fleet.len() {
            site.fleet.read_metrics(number).await;
        }
        site.sample(site.fleet.footprints().await).await;
    }
}
