//! What to do about an error of the library, by our programs' own commands and flags: the one place that knows both.
//!
//! The library says what is wrong and in which state things are; a program adds the hint.

use std::error::Error;

use tollgate::OpenError;
use tollgate::failure::{Failure, Refusal};
use tollgate::pressure::Overload;
use tollgate::scripts::ScriptError;

const INIT: &str = "run `tollgate-producer init` if nothing was ever here; if there was, Redis has lost it: restore its data first (docs/operating.md)";
const MORE_MEMORY: &str = "raise `maxmemory`, or shorten the retention (`init --retention`) so that old receipts go; more workers free none, since settling adds some";

/// What to do about `error`, where we know.
pub fn of(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return of_failure(failure).map(str::to_owned);
    }
    if let Some(error) = error.downcast_ref::<ScriptError>() {
        return of_script(error);
    }
    error.downcast_ref::<OpenError>().and_then(of_open)
}

/// The error and what to do about it, in one line.
pub fn with(error: &(dyn Error + 'static)) -> String {
    match of(error) {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// What to do where a producer has to wait.
pub fn of_overload(overload: &Overload) -> &'static str {
    match overload {
        // More workers free no memory: settling adds some.
        Overload::Memory { .. } => MORE_MEMORY,
        Overload::Queue { .. } => {
            "start more workers for this queue, resume it if it is paused (`queue ls`), or raise --queue-max"
        }
    }
}

fn of_failure(failure: &Failure) -> Option<&'static str> {
    match failure.refusal() {
        Some(Refusal::OutOfMemory) => Some(MORE_MEMORY),
        Some(Refusal::Tls) => Some(
            "rediss:// speaks TLS, redis:// does not; --redis-ca names the authority, --redis-cert and --redis-key are ours",
        ),
        _ => failure.hint(),
    }
}

fn of_script(error: &ScriptError) -> Option<String> {
    Some(match error {
        ScriptError::Failure(failure) => return of_failure(failure).map(str::to_owned),
        ScriptError::Uninitialised => INIT.to_owned(),
        ScriptError::CorruptPartition(_) => "`tollgate-producer audit` names what is damaged".to_owned(),
        ScriptError::QueueLost { queue, .. } => {
            format!("`tollgate-producer repair queue {queue}` says what is left of it")
        }
        ScriptError::Frozen(_) | ScriptError::StaleKeys => return None,
    })
}

fn of_open(error: &OpenError) -> Option<String> {
    let hint = match error {
        OpenError::Failure(failure) => return of_failure(failure).map(str::to_owned),
        OpenError::Script(error) => return of_script(error),
        OpenError::Empty(_) => INIT,
        OpenError::Initialising(_) => "if that was cut off, run `tollgate-producer init` again",
        OpenError::OtherPartitions { .. } => "leave --partitions out",
        OpenError::Remains { .. } => "restore what was lost, or begin over these with `init --over-remains`",
        OpenError::OtherFormat { .. } | OpenError::Corrupt { .. } => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use tollgate::ids::{Namespace, QueueName};
    use tollgate::scripts::stats::QueueProblem;

    use super::*;

    #[test]
    fn an_error_leads_to_the_command_that_helps_however_it_is_wrapped() {
        let (namespace, queue) = (Namespace::parse("shop").unwrap(), QueueName::parse("mail").unwrap());
        let lost = || ScriptError::QueueLost { queue: queue.clone(), problem: QueueProblem::NoStream };
        let memory = || Failure::not_applied(Refusal::OutOfMemory, "OOM");
        let remains = OpenError::Remains { namespace: namespace.clone(), found: Vec::new(), count: 2 };
        let partitions = OpenError::OtherPartitions { namespace: namespace.clone(), found: 1, asked: 7 };
        for (error, command) in [
            (&OpenError::Empty(namespace.clone()) as &(dyn Error + 'static), "`tollgate-producer init`"),
            (&OpenError::Initialising(namespace), "`tollgate-producer init` again"),
            (&remains, "`init --over-remains`"),
            (&partitions, "--partitions"),
            (&ScriptError::Uninitialised, "`tollgate-producer init`"),
            (&OpenError::Script(ScriptError::CorruptPartition("x".to_owned())), "`tollgate-producer audit`"),
            (&lost(), "`tollgate-producer repair queue mail`"),
            (&memory(), "`init --retention`"),
            (&ScriptError::Failure(memory()), "`init --retention`"),
            (&OpenError::Failure(Failure::not_applied(Refusal::Tls, "x")), "--redis-ca"),
            (&Failure::not_applied(Refusal::Loading, "x"), "wait"),
        ] {
            let hint = of(error).unwrap_or_default();
            assert!(hint.contains(command), "{error}: {hint}");
            assert_eq!(with(error), format!("{error}; {hint}"));
            assert!(!error.to_string().contains("tollgate-"), "{error}");
        }
        assert_eq!(with(&ScriptError::StaleKeys), ScriptError::StaleKeys.to_string());
    }
}
