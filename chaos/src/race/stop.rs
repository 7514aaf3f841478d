//! Stops this process by SIGSTOP in the middle of a request.
//!
//! It does so itself, because nobody else can hit that moment each time.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};

use super::trace::{Step, Trace};

/// What it says on stdout right before it stops.
pub(super) const STOPPING: &str = "stopping";
/// The signal stops all threads, but not all of them at the same instruction: how long the one that sent it waits.
const STOPS_WITHIN: Duration = Duration::from_millis(100);

/// Whether and where a process is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Never,
    BeforeWriting,
}

impl Stop {
    /// Stops this process, if it is time; returns when somebody has continued it.
    pub(super) fn here(self, trace: &mut Trace) {
        let already = || trace.events.iter().any(|event| event.step == Step::Stopped);
        if self == Self::Never || already() {
            return;
        }
        trace.note(Step::Stopped);
        let _ = writeln!(std::io::stdout(), "{STOPPING}").and_then(|()| std::io::stdout().flush());
        let begun = Instant::now();
        let _ = kill_process(getpid(), Signal::STOP);
        while begun.elapsed() < STOPS_WITHIN {
            std::thread::sleep(Duration::from_millis(1));
        }
        trace.note(Step::WokeUp);
    }
}
