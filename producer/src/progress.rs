//! How far a long command is, on stderr, if a person watches.

use std::fmt::Display;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::{complain_of, is_watched, warn};

/// A progress bar, or nothing where nobody watches. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Of `total` jobs, or of as many as there are.
    pub(crate) fn of(total: Option<u64>) -> Self {
        if !is_watched() {
            return Self(ProgressBar::hidden());
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{bar:30} {human_pos}/{human_len}  {per_sec}  {msg}"),
            None => (ProgressBar::new_spinner(), "{spinner} {human_pos}  {per_sec}  {msg}"),
        };
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }

    /// Of something too short to be watched.
    pub(crate) fn of_nothing() -> Self {
        Self(ProgressBar::hidden())
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.inc(count);
    }

    /// What holds it up; '' for nothing.
    pub(crate) fn waits_for(&self, what: impl Display) {
        self.0.set_message(what.to_string());
    }

    /// Says on stderr what is wrong with a part of the input, without tearing the bar.
    pub(crate) fn complain_of(&self, text: impl Display) {
        self.0.suspend(|| complain_of(text));
    }

    /// Says on stderr what may be wrong, without tearing the bar.
    pub(crate) fn warn(&self, text: impl Display) {
        self.0.suspend(|| warn(text));
    }

    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
