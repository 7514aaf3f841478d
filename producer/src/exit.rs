//! How a command ends: the exit codes, which one wins where several apply, and what an error means.
//!
//! Relies on the errors of `tollgate` being somewhere in the chain of the error that a command returned.

use std::error::Error;
use std::process::ExitCode;

use tollgate::OpenError;
use tollgate::connect::ConnectError;
use tollgate::connect::EndpointError;
use tollgate::embedded::EmbeddedError;
use tollgate::failure::Failure;
use tollgate::input::InputError;
use tollgate::journal::JournalDamage;
use tollgate::outcome::OutcomeClass;
use tollgate::scripts::ScriptError;
use tollgate::tickets::TicketsDamage;

/// How a command ended. The order is the precedence: where several apply, the greatest is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Exit {
    /// 0: everything asked for is done.
    #[default]
    Done,
    /// 1: something was refused or failed.
    Refused,
    /// 4: unknown, or not yet decided.
    Undecided,
    /// 5: the audit found a violation, or something stored is damaged.
    Violation,
    /// 3: no Redis to speak to.
    Unreachable,
    /// 2: the command line is wrong.
    Usage,
}

impl Exit {
    /// The one to tell where both apply.
    pub(crate) fn combine(self, other: Self) -> Self {
        self.max(other)
    }

    /// The process's exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Undecided => 4,
            Self::Violation => 5,
        }
    }

    /// What a job's outcome means.
    pub(crate) fn of_outcome(class: OutcomeClass) -> Self {
        match class {
            OutcomeClass::Applied => Self::Done,
            OutcomeClass::Refused | OutcomeClass::Dead | OutcomeClass::Expired => Self::Refused,
            OutcomeClass::Pending | OutcomeClass::NotDecided => Self::Undecided,
        }
    }

    /// What an error means.
    pub(crate) fn of_error(error: &anyhow::Error) -> Self {
        error.chain().find_map(of_cause).unwrap_or(Self::Refused)
    }
}

impl Exit {
    /// What an error of one partition means, whose others were served: damage is a refusal; where the node of a cluster is
    /// away, it is what it always is.
    pub(crate) fn of_partition(error: &anyhow::Error) -> Self {
        let is_of_node = failure_of(error).is_some_and(|failure| failure.node().is_some());
        if is_of_node { Self::of_error(error) } else { Self::Refused }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

fn of_cause(cause: &(dyn Error + 'static)) -> Option<Exit> {
    if cause.is::<InputError>() || cause.is::<EndpointError>() {
        return Some(Exit::Usage);
    }
    if cause.is::<JournalDamage>() || matches!(cause.downcast_ref(), Some(TicketsDamage::Journal(_))) {
        return Some(Exit::Violation);
    }
    if let Some(error) = cause.downcast_ref::<ConnectError>() {
        return Some(if error.is_usage() { Exit::Usage } else { Exit::Unreachable });
    }
    if cause.is::<EmbeddedError>() {
        return Some(Exit::Unreachable);
    }
    failure(cause).map(|failure| match failure {
        failure if failure.is_unreachable() => Exit::Unreachable,
        failure if failure.may_have_happened() => Exit::Undecided,
        _ => Exit::Refused,
    })
}

/// The failure of a call that is behind an error, if one is.
pub(crate) fn failure_of(error: &anyhow::Error) -> Option<&Failure> {
    error.chain().find_map(failure)
}

/// The failure of a call that this cause is, or wraps transparently (then it is no link of the chain itself).
fn failure<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a Failure> {
    let script = |error: &'a ScriptError| match error {
        ScriptError::Failure(failure) => Some(failure),
        _ => None,
    };
    cause.downcast_ref::<Failure>().or_else(|| cause.downcast_ref::<ScriptError>().and_then(script)).or_else(
        || match cause.downcast_ref::<OpenError>() {
            Some(OpenError::Failure(failure)) => Some(failure),
            Some(OpenError::Script(error)) => script(error),
            _ => None,
        },
    )
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use tollgate::failure::Refusal;

    use super::*;

    #[test]
    fn where_several_apply_the_order_is_2_3_5_4_1() {
        use Exit::*;
        let order = [Usage, Unreachable, Violation, Undecided, Refused, Done];
        for (i, exit) in order.iter().enumerate() {
            for lesser in &order[i..] {
                assert_eq!(exit.combine(*lesser), *exit);
                assert_eq!(lesser.combine(*exit), *exit);
            }
        }
        assert_eq!(order.map(Exit::code), [2, 3, 5, 4, 1, 0]);
    }

    #[test]
    fn an_error_is_judged_by_its_cause_however_wrapped() {
        let unreachable = || Failure::not_applied(Refusal::Unreachable, "refused");
        let unknown = || Failure::unknown("no answer");
        let denied = || Failure::not_applied(Refusal::NoPermission, "no");
        let exit = |error: anyhow::Error| Exit::of_error(&error);
        assert_eq!(exit(unreachable().into()), Exit::Unreachable);
        assert_eq!(exit(ScriptError::from(unreachable()).into()), Exit::Unreachable);
        assert_eq!(exit(OpenError::Script(unknown().into()).into()), Exit::Undecided);
        assert_eq!(exit(OpenError::Failure(denied()).into()), Exit::Refused);
        assert_eq!(exit(ScriptError::Uninitialised.into()), Exit::Refused);
        assert_eq!(exit(EndpointError::Empty.into()), Exit::Usage);
        let input = tollgate::ids::JobId::parse("").map_err(anyhow::Error::from).context("--id").unwrap_err();
        assert_eq!(exit(input), Exit::Usage);
    }

    #[test]
    fn docs_codes_has_the_exit_code_of_every_class() {
        use OutcomeClass::*;
        let page = include_str!("../../docs/codes.md");
        for class in [Applied, Refused, Expired, Pending, Dead, NotDecided] {
            let name = format!("| `{}` | ", class.name());
            let row = page.lines().find(|line| line.starts_with(&name)).unwrap();
            let documented = row.trim_end_matches(" |").rsplit(" | ").next();
            assert_eq!(documented, Some(Exit::of_outcome(class).code().to_string().as_str()), "{row}");
        }
    }
}
