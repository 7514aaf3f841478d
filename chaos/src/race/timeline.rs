//! The interleaving that broke an invariant, in two columns, from the recorded events of the two requests.

use std::fmt;

use serde::Serialize;

use super::judge::Case;
use super::matrix::Cell;
use super::scenario::{Request, Round};
use super::trace::{Reply, State, Step, Trace};

/// Width of the time and of each column.
const TIME_WIDTH: usize = 12;
const COLUMN_WIDTH: usize = 34;

/// What two requests did to each other.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Timeline {
    /// Of which record, and what came of it.
    pub(super) outcome: String,
    /// Who they are.
    pub(super) columns: [String; 2],
    pub(super) lines: Vec<Line>,
    /// The place in `lines` of what should not have been: the last effect.
    pub(super) wrong: usize,
}

/// One event.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    /// Since the first event.
    pub(super) at_ms: f64,
    pub(super) column: usize,
    pub(super) words: String,
}

impl Timeline {
    pub(super) fn new(
        cell: Cell,
        round: &Round,
        served: &[(usize, Trace)],
        states: &[State],
        case: Case,
    ) -> Self {
        let story = cell.scenario.story();
        let record = &round.records[case.record];
        let pair = [case.first, case.second].map(|place| &served[place]);
        let is_write = |step: &Step| matches!(step, Step::Wrote { .. } | Step::Took);
        let mut events = Vec::new();
        for (column, (request, trace)) in pair.iter().enumerate() {
            let words = |step: &Step| words(cell, &round.requests[*request], case.record, step);
            events.extend(
                trace
                    .events
                    .iter()
                    .map(|event| (event.at_ns, column, words(&event.step), is_write(&event.step))),
            );
        }
        if case.first == case.second {
            events.retain(|(_, column, ..)| *column == 0);
        }
        events.sort_by_key(|(at_ns, ..)| *at_ns);
        let begun = events.first().map_or(0, |(at_ns, ..)| *at_ns);
        let last = events.len().saturating_sub(1);
        let wrong = events.iter().rposition(|(.., is_write)| *is_write).unwrap_or(last);
        let lines = events.into_iter().map(|(at_ns, column, words, _)| Line {
            at_ms: (at_ns - begun) as f64 / 1e6,
            column,
            words,
        });
        let given = served.iter().filter(|(_, trace)| matches!(trace.answer(), Some(Reply::Granted { .. })));
        let given = given.flat_map(|(request, _)| &round.requests[*request].takes);
        let given = given.filter(|take| take.record == case.record).map(|take| take.amount).sum();
        Self {
            outcome: format!(
                "{}: {} at first, {} {}, {} at the end",
                record.title,
                (story.quantity)(record.quantity),
                (story.amount)(given),
                story.given,
                (story.quantity)(states[case.record].quantity)
            ),
            columns: pair.map(|(request, _)| round.requests[*request].title.clone()),
            lines: lines.collect(),
            wrong,
        }
    }

    /// The same steps in the same order, whatever the times and the values: what makes two timelines one.
    pub(super) fn shape(&self) -> Vec<(usize, &str)> {
        let verb =
            |words: &'_ str| words.find(|c: char| c.is_ascii_digit() || c == '$').unwrap_or(words.len());
        self.lines.iter().map(|line| (line.column, &line.words[..verb(&line.words)])).collect()
    }
}

fn words(cell: Cell, request: &Request, record: usize, step: &Step) -> String {
    let at = request.takes.iter().position(|take| take.record == record);
    let quantity = |states: &[State]| {
        let state = at.and_then(|at| states.get(at));
        state.map_or_else(String::new, |state| (cell.scenario.story().quantity)(state.quantity))
    };
    match step {
        Step::Locked { token: None } => "takes the lock".to_owned(),
        Step::Locked { token: Some(token) } => format!("takes the lock, token {token}"),
        Step::Read { seen } => format!("reads: {}", quantity(seen)),
        Step::Wrote { next } => format!("writes: {}", quantity(next)),
        Step::Took => "checks and takes, in one step".to_owned(),
        Step::Enqueued => "sends a job".to_owned(),
        Step::KeyKnown => "finds its key".to_owned(),
        Step::Overtaken => "is overtaken, begins again".to_owned(),
        Step::Fenced => "is refused: its token is old".to_owned(),
        Step::LockEnded => "finds that its lock has ended".to_owned(),
        Step::Stopped => "is stopped (SIGSTOP)".to_owned(),
        Step::WokeUp => "goes on (SIGCONT)".to_owned(),
        Step::Answered(Reply::Granted { .. }) => request.granted.clone(),
        Step::Answered(Reply::Refused) => "is refused".to_owned(),
        Step::Answered(Reply::GaveUp) => "gives up".to_owned(),
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [left, right] = &self.columns;
        writeln!(f, "{:TIME_WIDTH$}  {left:COLUMN_WIDTH$}{right}", "")?;
        for Line { at_ms, column, words } in &self.lines {
            let indent = column * COLUMN_WIDTH;
            writeln!(f, "{at_ms:>9.2} ms  {:indent$}{words}", "")?;
        }
        write!(f, "{:TIME_WIDTH$}  {}", "", self.outcome)
    }
}
