//! One step of an order, and how it is written: `A3` runs A's third call, `A3?` loses its reply, `A3-` never runs it,
//! `A3~` lets it run later, at `~A3`; `A!` kills A, `A3!` kills it while that call is on its way; `A*` breaks all
//! connections of A;
//! `flush`, `tick` and `restart` are Redis's scripts, its clock, and Redis as a whole.

use std::fmt;
use std::str::FromStr;

use super::bound::Bound;

/// A call: its process, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Call {
    pub(super) process: char,
    pub(super) no: u32,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.process, self.no)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// It runs, and its reply arrives.
    Run(Call),
    /// It runs, and its reply is lost.
    LoseReply(Call),
    /// It does not run, and its caller does not know.
    LeaveOut(Call),
    /// Its caller gives it up; it is still on its way.
    Delay(Call),
    /// A call that was on its way runs.
    Arrive(Call),
    /// All connections of a process break: none of its calls runs.
    Drop(char),
    Die(char),
    /// It dies when a call has been sent and has not run.
    DieSending(Call),
    /// Redis forgets its scripts.
    Flush,
    /// The server's clock is stepped.
    Tick,
    /// Redis is killed and started again.
    Restart,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(call) => write!(f, "{call}"),
            Self::LoseReply(call) => write!(f, "{call}?"),
            Self::LeaveOut(call) => write!(f, "{call}-"),
            Self::Delay(call) => write!(f, "{call}~"),
            Self::Arrive(call) => write!(f, "~{call}"),
            Self::Drop(process) => write!(f, "{process}*"),
            Self::Die(process) => write!(f, "{process}!"),
            Self::DieSending(call) => write!(f, "{call}!"),
            Self::Flush => f.write_str("flush"),
            Self::Tick => f.write_str("tick"),
            Self::Restart => f.write_str("restart"),
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?}: a step is A3, A3?, A3-, A3~, ~A3, A*, A!, A3!, flush, tick or restart");
        match text {
            "flush" => return Ok(Self::Flush),
            "tick" => return Ok(Self::Tick),
            "restart" => return Ok(Self::Restart),
            _ => {}
        }
        let (arrives, rest) = text.strip_prefix('~').map_or((false, text), |rest| (true, rest));
        let process = rest.chars().next().filter(char::is_ascii_uppercase).ok_or_else(wrong)?;
        let rest = &rest[1..];
        let (number, fate) = match rest.find(|c: char| !c.is_ascii_digit()) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        match fate {
            "!" if number.is_empty() && !arrives => return Ok(Self::Die(process)),
            "*" if number.is_empty() && !arrives => return Ok(Self::Drop(process)),
            _ => {}
        }
        let call = Call { process, no: number.parse().map_err(|_| wrong())? };
        match (fate, arrives) {
            ("", true) => Ok(Self::Arrive(call)),
            ("", false) => Ok(Self::Run(call)),
            ("?", false) => Ok(Self::LoseReply(call)),
            ("-", false) => Ok(Self::LeaveOut(call)),
            ("~", false) => Ok(Self::Delay(call)),
            ("!", false) => Ok(Self::DieSending(call)),
            _ => Err(wrong()),
        }
    }
}

/// An order as the command line takes it.
pub(super) fn written(steps: &[Step]) -> String {
    steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// What a step may be, and what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) step: Step,
    pub(super) cost: Bound,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["A3", "B12?", "A3-", "A3~", "~A3", "A*", "A!", "A3!", "flush", "tick", "restart"] {
            assert_eq!(text.parse::<Step>().unwrap().to_string(), text);
        }
        for text in ["", "3", "a3", "A", "A3!?", "~A!", "~A3?", "A3*"] {
            assert!(text.parse::<Step>().is_err(), "{text}");
        }
    }
}
