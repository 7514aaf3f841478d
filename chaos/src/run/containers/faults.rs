//! Breaks containers as the schedule says, each for its time, and heals them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::fleet::Fleet;
use super::plan::Plan;
use super::schedule::{self, How, What, Whom};
use crate::compose::container::Container;
use crate::compose::project::Project;
use crate::run::client::Client;
use crate::run::history::Event;
use crate::run::progress::Progress;

const TICK: Duration = Duration::from_millis(100);
/// How long a fault waits for containers that another one still has: on a busy machine scaling takes its time.
const WAITS_FOR_ITS_TURN: Duration = Duration::from_secs(30);

/// Begins each fault when it is due, and returns when the last has ended and the time is over.
pub(super) async fn strike(
    plan: &Plan,
    project: &Arc<Project>,
    fleet: &Arc<Fleet>,
    client: &Client,
    progress: &Progress,
) -> anyhow::Result<()> {
    let (begun, running) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut due = schedule::of(plan.seed, plan.duration, plan.workers).into_iter().enumerate().peekable();
    let mut tasks = JoinSet::new();
    loop {
        while let Some((number, strike)) = due.next_if(|(_, strike)| begun.elapsed() >= strike.at) {
            let (fleet, running, project) = (Arc::clone(fleet), Arc::clone(&running), Arc::clone(project));
            let workers = plan.workers;
            running.fetch_add(1, Ordering::Relaxed);
            tasks.spawn(async move {
                match strike.what {
                    What::Scale(fewer) => scale(number, fewer, strike.lasts, workers, &project, &fleet).await,
                    What::Break(whom, how) => one(number, whom, how, strike.lasts, &fleet).await,
                }
                running.fetch_sub(1, Ordering::Relaxed);
            });
        }
        progress.tick(client, begun.elapsed(), plan.duration, running.load(Ordering::Relaxed));
        if begun.elapsed() >= plan.duration {
            break;
        }
        tokio::time::sleep(TICK).await;
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// As the history and the report call it.
fn name(whom: Whom, how: How) -> String {
    let who = match whom {
        Whom::Worker(_) => "worker",
        Whom::Redis => "Redis",
        Whom::LockNode(_) => "lock node",
        Whom::LockMajority => "two lock nodes",
        Whom::Bank => "bank",
    };
    let what = match how {
        How::Kill => "killed",
        How::Pause => "paused",
        How::Restart => "restarted",
        How::Disconnect => "disconnected",
    };
    format!("{who} {what}")
}

/// One fault from its beginning to its end.
async fn one(number: usize, whom: Whom, how: How, lasts: Duration, fleet: &Fleet) {
    let fault = name(whom, how);
    let Some(containers) = its_turn(&fault, fleet, || fleet.containers(whom)).await else { return };
    let what = containers.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
    fleet.history.add(Event::FaultBegins { number, fault: fault.clone() });
    fleet.history.add(Event::FaultHits { number, what });
    fleet.history.add(Event::Counted { name: format!("fault: {fault}"), count: 1 });
    let mut broken = Vec::new();
    for container in &containers {
        match begin(container, how, fleet).await {
            Ok(()) => broken.push(container),
            // What the engine cannot do is no fault of ours, and of nobody else's.
            Err(problem) => {
                came_to_nothing(&fault, format!("{problem:#}").lines().last().unwrap_or_default(), fleet);
            }
        }
    }
    tokio::time::sleep(lasts).await;
    for container in broken {
        if let Err(problem) = end(container, how, fleet).await {
            fleet.history.add(Event::Unexpected { what: format!("{fault} cannot be ended: {problem:#}") });
        }
    }
    fleet.history.add(Event::FaultEnds { number });
    fleet.give_back(&containers);
}

/// Waits until nobody else breaks these containers, and takes them.
async fn its_turn(fault: &str, fleet: &Fleet, whom: impl Fn() -> Vec<Container>) -> Option<Vec<Container>> {
    let begun = Instant::now();
    loop {
        let containers = whom();
        if !containers.is_empty() && fleet.take(&containers) {
            return Some(containers);
        }
        if begun.elapsed() > WAITS_FOR_ITS_TURN {
            came_to_nothing(fault, "another fault had its containers", fleet);
            return None;
        }
        tokio::time::sleep(TICK).await;
    }
}

fn came_to_nothing(fault: &str, why: &str, fleet: &Fleet) {
    let name = format!("fault that did not come about: {fault} ({why})");
    fleet.history.add(Event::Counted { name, count: 1 });
}

async fn begin(container: &Container, how: How, fleet: &Fleet) -> anyhow::Result<()> {
    match how {
        How::Kill => {
            fleet.will_be_killed(container);
            container.kill_process().await.map(drop)
        }
        How::Pause => container.pause().await,
        How::Restart => container.restart().await,
        How::Disconnect => container.disconnect(fleet.network()).await,
    }
}

async fn end(container: &Container, how: How, fleet: &Fleet) -> anyhow::Result<()> {
    match how {
        // The restart policy has done it, or does.
        How::Kill | How::Restart => Ok(()),
        How::Pause => container.unpause().await,
        How::Disconnect => container.connect(fleet.network()).await,
    }
}

/// Fewer workers for a while, then as many as before, by compose.
async fn scale(
    number: usize,
    fewer: usize,
    lasts: Duration,
    workers: usize,
    project: &Project,
    fleet: &Fleet,
) {
    let Some(before) = its_turn("fleet scaled", fleet, || fleet.workers()).await else { return };
    let what = format!("from {workers} to {fewer} and back");
    fleet.history.add(Event::FaultBegins { number, fault: "fleet scaled".to_owned() });
    fleet.history.add(Event::FaultHits { number, what });
    fleet.history.add(Event::Counted { name: "fault: fleet scaled".to_owned(), count: 1 });
    let scaled = async {
        let logs: Vec<_> = before.iter().map(|worker| (worker.clone(), worker.follow())).collect();
        project.scale("worker", fewer).await?;
        fleet.look(project).await?;
        let left = fleet.workers();
        for (worker, log) in logs {
            if !left.contains(&worker) {
                let file = format!("{}-until-{number}.log", worker.name.replace(' ', "-"));
                fleet.keep_log(file, log?.text().await);
            }
        }
        tokio::time::sleep(lasts).await;
        project.scale("worker", workers).await?;
        fleet.look(project).await
    };
    if let Err(problem) = scaled.await {
        fleet.history.add(Event::Unexpected { what: format!("scaling: {problem:#}") });
    }
    fleet.history.add(Event::FaultEnds { number });
    fleet.give_back(&before);
}
