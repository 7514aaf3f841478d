//! What came of everything that was sent, in the counts that `--json` promises.

use std::fmt;

use serde::Serialize;
use tollgate::code::Code;
use tollgate::failure::Failure;
use tollgate::pressure::Overload;
use tollgate_cli::hints;

use crate::exit::Exit;

/// Counts of lines; `{accepted, refused, invalid, not_applied, unknown}`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Tally {
    /// Jobs that are in their stream, and operations that are applied.
    pub(crate) accepted: u64,
    /// Operations that were decided against.
    pub(crate) refused: u64,
    /// Lines that are wrong in themselves.
    pub(crate) invalid: u64,
    /// Definitely nothing happened.
    pub(crate) not_applied: u64,
    /// Sent, and no answer came: it may have happened.
    pub(crate) unknown: u64,
    #[serde(skip)]
    stopped: Option<Stopped>,
    #[serde(skip)]
    stopped_at: Option<u64>,
}

/// What says that Redis cannot take more.
#[derive(Debug)]
pub(crate) enum Pressure {
    /// What was found before sending.
    Seen(Overload),
    /// Redis itself, which refused to write.
    Refused(Failure),
}

/// Why a run ended before its end.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// Memory or queue stayed above its bound.
    Overloaded(Pressure),
    /// A partition cannot be used.
    Partition(Code, String),
    /// Redis failed, and went on failing.
    Failure(Failure),
    /// The user said so.
    Interrupted,
}

impl Stopped {
    /// A stable name for `--json`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Overloaded(_) => Code::Overloaded.name(),
            Self::Partition(code, _) => code.name(),
            Self::Failure(failure) => failure.refusal().map_or("unknown", |refusal| refusal.code()),
            Self::Interrupted => "interrupted",
        }
    }

    /// What to do about it, where we know.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Overloaded(Pressure::Seen(overload)) => Some(hints::of_overload(overload).to_owned()),
            Self::Overloaded(Pressure::Refused(failure)) | Self::Failure(failure) => hints::of(failure),
            Self::Partition(..) | Self::Interrupted => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Failure(failure) if failure.is_unreachable() => Exit::Unreachable,
            _ => Exit::Refused,
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overloaded(Pressure::Seen(what)) => write!(f, "{}: {what}", Code::Overloaded),
            Self::Overloaded(Pressure::Refused(failure)) => write!(f, "{}: {failure}", Code::Overloaded),
            Self::Partition(code, what) => write!(f, "{code}: {what}"),
            Self::Failure(failure) => write!(f, "{failure}"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl Tally {
    /// Remembers the first reason to stop, and the line that was not sent because of it.
    pub(super) fn stop(&mut self, why: Stopped, number: Option<u64>) {
        if self.stopped.is_none() {
            (self.stopped, self.stopped_at) = (Some(why), number);
        }
    }

    /// The first line that was not sent, if the run stopped at one.
    pub(crate) fn stopped_at(&self) -> Option<u64> {
        self.stopped_at
    }

    pub(crate) fn stopped(&self) -> Option<&Stopped> {
        self.stopped.as_ref()
    }

    /// How the command ends.
    pub(crate) fn exit(&self) -> Exit {
        let mut exit = self.stopped.as_ref().map_or(Exit::Done, Stopped::exit);
        if self.refused + self.invalid + self.not_applied > 0 {
            exit = exit.combine(Exit::Refused);
        }
        if self.unknown > 0 {
            exit = exit.combine(Exit::Undecided);
        }
        exit
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} accepted", self.accepted)?;
        for (count, what) in [
            (self.refused, "refused"),
            (self.invalid, "invalid"),
            (self.not_applied, "not applied"),
            (self.unknown, "unknown"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_count_decides_the_exit() {
        let exit = |change: fn(&mut Tally)| {
            let mut tally = Tally { accepted: 5, ..Tally::default() };
            change(&mut tally);
            tally.exit()
        };
        assert_eq!(exit(|_| {}), Exit::Done);
        assert_eq!(exit(|tally| tally.invalid = 1), Exit::Refused);
        assert_eq!(exit(|tally| tally.stop(Stopped::Interrupted, None)), Exit::Refused);
        assert_eq!(
            exit(|tally| {
                tally.invalid = 1;
                tally.unknown = 1;
            }),
            Exit::Undecided
        );
        assert_eq!(
            exit(|tally| {
                tally.unknown = 1;
                let refused = Failure::not_applied(tollgate::failure::Refusal::Unreachable, "refused");
                tally.stop(Stopped::Failure(refused), None);
            }),
            Exit::Unreachable
        );
    }
}
