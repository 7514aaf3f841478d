//! What the replies on a connection mean.

use redis::{ErrorKind, RedisError, Value};

use crate::connection::classify::{classify, classify_reply};
use crate::connection::failure::Failure;

/// What a transaction answers: a result for each of its commands, or why it did not happen, or may not have.
pub type Transacted = Result<Vec<Result<Value, Failure>>, Failure>;

/// Reads the replies to MULTI, to each of `count` commands, and to EXEC.
pub(super) fn executed(mut replies: Vec<Result<Value, Failure>>, count: usize) -> Transacted {
    let executed = replies.pop().unwrap_or_else(|| Err(Failure::unknown("no reply to EXEC")));
    // MULTI itself, then each command as it was queued. Without MULTI each was executed by itself.
    let begun = replies.first().is_some_and(Result::is_ok);
    if let Some(refused) = replies.into_iter().find_map(Result::err) {
        return Err(if begun { refused } else { Failure::unknown(format!("no transaction: {refused}")) });
    }
    match executed.map_err(Failure::of_exec)? {
        Value::Array(values) if values.len() == count => Ok(values.into_iter().map(checked).collect()),
        other => Err(Failure::unknown(format!("EXEC answered {other:?} to {count} commands"))),
    }
}

/// Whether a connection cannot be trusted after this.
pub(super) fn spoils(values: &Transacted) -> bool {
    match values {
        Ok(values) => values.iter().filter_map(|value| value.as_ref().err()).any(Failure::spoils_connection),
        Err(failure) => failure.spoils_connection(),
    }
}

pub(super) fn reply(result: Result<Value, RedisError>) -> Result<Value, Failure> {
    result.map_err(|error| classify(&error)).and_then(checked)
}

pub(super) fn checked(value: Value) -> Result<Value, Failure> {
    match value {
        Value::ServerError(error) => Err(classify_reply(&error)),
        // A push would mean that replies and questions no longer pair up (RESP2 never pushes).
        Value::Push { .. } => {
            let error = RedisError::from((ErrorKind::Parse, "a push instead of a reply"));
            Err(classify(&error))
        }
        value => Ok(value),
    }
}
