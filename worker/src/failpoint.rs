//! Named points at which a test makes this process die, hang or stop. Only in builds with the feature `failpoints`.
//!
//! `TOLLGATE_FAILPOINTS=before_settle:abort:id=X;after_park:stop`: at a point, an action, and the id of the job that
//! the batch must hold (without one: any batch). Actions: `abort`, `panic`, `hang` (this task only), `stop` (SIGSTOP
//! to the whole process), `panic_once` (the first time that it is hit). Long-lived tasks have points of their own:
//! `in_<task>` at each turn of their loop, and `visit_<agent>` where an agent turns to a partition. Must not exist in a release build: there the macro is empty.

/// `failpoint!("after_fetch", batch.jobs())`, in an async function.
macro_rules! failpoint {
    ($point:literal, $jobs:expr) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::hit($point, $jobs).await
    };
    (task $where:literal, $task:expr) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::hit_task($where, $task).await
    };
}
pub(crate) use failpoint;

/// Refuses a setting that would silently do nothing.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn check_environment() -> Result<(), String> {
    match tollgate::env::text(tollgate::env::TOLLGATE_FAILPOINTS) {
        None => Ok(()),
        Some(_) => {
            Err(format!("{} is set, but this build has no fail points", tollgate::env::TOLLGATE_FAILPOINTS))
        }
    }
}

#[cfg(feature = "failpoints")]
pub use armed::{AGENTS, TASKS};
#[cfg(feature = "failpoints")]
pub(crate) use armed::{check_environment, hit, hit_task, quoted};

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tollgate::env::TOLLGATE_FAILPOINTS;

    /// A signal to a process may be taken by another of its threads, which stops the others a moment later.
    const STOPS_WITHIN: Duration = Duration::from_secs(1);

    const POINTS: [&str; 14] = [
        "after_fetch",
        "after_decode",
        "before_settle",
        "between_settles",
        "after_releases",
        "after_settle",
        "before_park",
        "after_park",
        "after_claim",
        "before_begin",
        "after_begin",
        "after_pay",
        "before_record",
        "after_record",
    ];

    /// Tasks that turn to one partition after the other.
    pub const AGENTS: [&str; 11] = [
        "heartbeat",
        "observe",
        "promote",
        "reap",
        "drop_receipts",
        "reclaim",
        "survey",
        "find_queues",
        "expire",
        "release",
        "pay",
    ];
    /// Long-lived tasks beside them.
    pub const TASKS: [&str; 5] = ["fetch", "http", "signals", "remind", "inspect"];

    #[derive(Debug, Clone, Copy)]
    enum Action {
        Abort,
        Panic,
        PanicOnce,
        Hang,
        Stop,
    }

    #[derive(Debug)]
    struct Trap {
        point: String,
        action: Action,
        /// The id in quotes, as every envelope has it.
        id: Option<String>,
        hits: AtomicU32,
    }

    static TRAPS: OnceLock<Vec<Trap>> = OnceLock::new();

    pub(crate) fn check_environment() -> Result<(), String> {
        let text = tollgate::env::text(TOLLGATE_FAILPOINTS).unwrap_or_default();
        let traps = text.split(';').filter(|text| !text.is_empty()).map(read).collect::<Result<_, _>>()?;
        TRAPS.get_or_init(|| traps);
        Ok(())
    }

    fn read(text: &str) -> Result<Trap, String> {
        let wrong = |what: &str| format!("{TOLLGATE_FAILPOINTS} {text:?}: {what}");
        let mut words = text.splitn(3, ':');
        let point = words.next().filter(|point| is_point(point));
        let point =
            point.ok_or_else(|| wrong(&format!("the point must be one of {}", points().join(", "))))?;
        let action = match words.next() {
            Some("abort") => Action::Abort,
            Some("panic") => Action::Panic,
            Some("panic_once") => Action::PanicOnce,
            Some("hang") => Action::Hang,
            Some("stop") => Action::Stop,
            _ => return Err(wrong("the action must be abort, panic, panic_once, hang or stop")),
        };
        let id = match words.next().map(|word| word.strip_prefix("id=")) {
            None => None,
            Some(Some(id)) => Some(format!("\"{id}\"")),
            Some(None) => return Err(wrong("after the action comes id=X or nothing")),
        };
        Ok(Trap { point: point.to_owned(), action, id, hits: AtomicU32::new(0) })
    }

    fn points() -> Vec<String> {
        let visits = AGENTS.iter().map(|agent| format!("visit_{agent}"));
        let tasks = AGENTS.iter().chain(&TASKS).map(|task| format!("in_{task}"));
        POINTS.iter().map(|point| (*point).to_owned()).chain(tasks).chain(visits).collect()
    }

    fn is_point(word: &str) -> bool {
        points().iter().any(|point| point == word)
    }

    pub(crate) async fn hit_task(place: &str, task: &str) {
        let point = format!("{place}_{}", task.replace(' ', "_"));
        debug_assert!(is_point(&point), "{point} is not in the list");
        hit(&point, std::iter::empty()).await;
    }

    /// An id as every envelope has it, for points without an envelope at hand.
    pub(crate) fn quoted(id: &tollgate::ids::JobId) -> [Vec<u8>; 1] {
        [format!("\"{id}\"").into_bytes()]
    }

    pub(crate) async fn hit(point: &str, jobs: impl Iterator<Item = &[u8]> + Clone) {
        let holds =
            |id: &str| jobs.clone().any(|job| job.windows(id.len()).any(|part| part == id.as_bytes()));
        let traps = TRAPS.get().map(Vec::as_slice).unwrap_or_default();
        let trap = traps.iter().find(|trap| trap.point == point && trap.id.as_deref().is_none_or(holds));
        let before = trap.map_or(0, |trap| trap.hits.fetch_add(1, Ordering::Relaxed));
        match trap.map(|trap| trap.action) {
            Some(Action::PanicOnce) if before > 0 => {}
            None => {}
            Some(Action::Abort) => std::process::abort(),
            Some(Action::Panic | Action::PanicOnce) => panic!("fail point {point}"),
            Some(Action::Hang) => std::future::pending().await,
            Some(Action::Stop) => {
                let _ =
                    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
                // On purpose not an await: this thread must not go a step further before the stop has reached it.
                std::thread::sleep(STOPS_WITHIN);
            }
        }
    }
}
