//! What is told while a run goes on: a line that changes, on a terminal; else nothing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::client::Client;

pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn of(name: &str, shown: bool) -> Self {
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("  {prefix:<18} {bar:24} {elapsed:>4}  {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            bar: ProgressBar::with_draw_target(Some(1_000), target)
                .with_style(style)
                .with_prefix(name.to_owned()),
        }
    }

    pub(super) fn tick(&self, client: &Client, elapsed: Duration, of: Duration, faults: usize) {
        let part = elapsed.as_millis() * 1_000 / of.as_millis().max(1);
        self.bar.set_position(part.min(1_000) as u64);
        let load = &client.load;
        self.bar.set_message(format!(
            "{} decided, {} deep, {} asked, {} unknown, {faults} faults",
            load.decided.load(Ordering::Relaxed),
            load.depth.load(Ordering::Relaxed),
            load.asked.load(Ordering::Relaxed),
            load.unknown.load(Ordering::Relaxed),
        ));
    }

    pub(super) fn fault(&self, name: &str) {
        self.bar.println(format!("  {:>5.1} s  {name}", self.bar.elapsed().as_secs_f64()));
    }

    pub(super) fn phase(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    pub(super) fn done(&self) {
        self.bar.finish_and_clear();
    }
}
