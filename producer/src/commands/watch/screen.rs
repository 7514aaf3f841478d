//! What the screen shows, and what a key or a look changes in it. Pure; [`view`](super::view) draws it.

use std::time::{Duration, Instant};

use super::history::History;
use super::keys::Key;
use super::reading::Reading;

/// How many tables there are to choose from.
pub(super) const TABLES: usize = 7;

/// The order of campaigns and accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// Most jobs within the last minute first.
    #[default]
    Moved,
    /// Least left, or least available, first.
    Left,
    /// By name.
    Name,
}

impl Sort {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Left => "left",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Moved => Self::Left,
            Self::Left => Self::Name,
            Self::Name => Self::Moved,
        }
    }
}

/// What the screen shows.
pub(super) struct Screen {
    /// Which namespace on which server.
    pub(super) title: String,
    pub(super) interval: Duration,
    pub(super) history: History,
    /// Why the last read failed, if it did.
    pub(super) away: Option<String>,
    /// What is read is not shown.
    pub(super) is_paused: bool,
    pub(super) sort: Sort,
    /// Which table comes first.
    pub(super) table: usize,
}

impl Screen {
    pub(super) fn new(title: String, interval: Duration) -> Self {
        let history = History::default();
        Self { title, interval, history, away: None, is_paused: false, sort: Sort::default(), table: 0 }
    }

    pub(super) fn pressed(&mut self, key: Key) {
        match key {
            // It is over, which is not the screen's to say.
            Key::Quit => {}
            Key::Pause => self.is_paused = !self.is_paused,
            Key::Sort => self.sort = self.sort.next(),
            Key::Next => self.table = (self.table + 1) % TABLES,
            Key::Previous => self.table = (self.table + TABLES - 1) % TABLES,
            Key::Table(table) if table < TABLES => self.table = table,
            Key::Table(_) => {}
        }
    }

    pub(super) fn looked(&mut self, looked: Result<Reading, String>, now: Instant) {
        if self.is_paused {
            return;
        }
        match looked {
            Ok(reading) => {
                self.history.add(reading, now);
                self.away = None;
            }
            Err(error) => self.away = Some(error),
        }
    }
}
